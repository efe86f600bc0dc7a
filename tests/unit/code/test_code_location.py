from __future__ import annotations

from pathlib import Path

import pytest

from concertino.code.location import Repository, locate
from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Source


def source(location: str, ref: str | None = None) -> Source:
    return Source(kind="code", location=location, ref=ref)


@pytest.mark.parametrize(
    "location",
    [
        "https://example.org/a/b.git",
        "https://bob:secret@example.org/a/b",
        "ssh://git@example.org:2222/a.git",
        "git://example.org/a",
        "file:///srv/a.git",
        "git@example.org:a/b.git",
        "example.org:a/b.git",
    ],
)
@pytest.mark.parametrize("ref", [None, "main", "v1.2.3", "feature/x-y", "0123abc"])
def test_a_repository(location: str, ref: str | None) -> None:
    found = locate(source(location, ref))
    assert found == Repository(location, ref)
    assert "secret" not in str(found)


def test_a_folder_whatever_its_name_looks_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("plain", "git@example.org:a", "-u", "a b"):
        (tmp_path / name).mkdir()
        assert locate(source(name)) == Path(name)


@pytest.mark.parametrize(
    "location",
    [
        "ext::sh -c touch% /tmp/x",
        "ext::sh",
        "fd::3",
        "ftp://example.org/a",
        "ext://x",
        "--upload-pack=touch x",
        "-u",
        "ssh://-oProxyCommand=x/a",
        "ssh://git@-oProxyCommand=x/a",
        "git@-host:a",
        "host:-oProxyCommand=x",
        "https://example.org/a b",
        "https://example.org/a\nb",
        "/no/such/folder",
    ],
)
def test_what_is_neither_or_could_run_something_is_refused(location: str) -> None:
    with pytest.raises(SourceError):
        locate(source(location))


@pytest.mark.parametrize(
    "ref", ["-b", "--upload-pack=x", "a b", "a..b", "a:b", "x^{}", "@{1}", "a\nb", "a*", "a/", "~1", "HEAD^"]
)
def test_a_ref_that_is_none_is_refused(ref: str) -> None:
    with pytest.raises(SourceError, match="no branch, tag or commit"):
        locate(source("https://example.org/a", ref))


def test_a_file_and_a_ref_of_a_folder_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    with pytest.raises(SourceError, match="give the directory"):
        locate(source(str(tmp_path / "a.py")))
    with pytest.raises(SourceError, match=f"give file://{tmp_path}"):
        locate(source(str(tmp_path), "main"))
