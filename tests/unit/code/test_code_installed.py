"""An installed distribution: its own files and no others, as they were installed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from code_repositories import write

from concertino.code.base import Base
from concertino.code.checks import dependencies, untested, unused
from concertino.code.code import Code
from concertino.code.installed import Distribution, is_installed
from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Source
from concertino.retrieval.cache import Cache

INFO = "thing-1.0.dist-info"
METADATA = "Name: pip\nVersion: 23.2.1\nRequires-Dist: one\nRequires-Dist: two; extra == 'x'\n\nRequires-Dist: no\n"


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Path]:
    """The ``dist-info`` of ``files``, installed beside ``others``, and with ``lines`` more in its RECORD."""

    def install(files: Mapping[str, bytes], others: Mapping[str, bytes] | None = None, lines: str = "") -> Path:
        site = write(tmp_path / "site", dict(files) | dict(others or {}))
        record = "".join(f"{path},{digest(content)},{len(content)}\n" for path, content in files.items())
        write(site, {f"{INFO}/RECORD": f"{record}{INFO}/RECORD,,\n{lines}"})
        return site / INFO

    return install


Install = Callable[..., Path]


def test_its_own_files_alone(installed: Install) -> None:
    folder = installed(
        {"thing/__init__.py": b"x = 1\n", "single.py": b"", f"{INFO}/METADATA": b"Name: thing\n", f"{INFO}/licenses/L": b"L"},
        {"other/__init__.py": b"y = 2\n", "thing/added.py": b"z = 3\n"},
    )
    assert is_installed(folder)
    tree = Distribution(folder)
    assert [file.path for file in tree.files()] == ["single.py", f"{INFO}/METADATA", "thing/__init__.py"]
    assert tree.text("thing/__init__.py") == "x = 1\n"
    for path in ("other/__init__.py", "thing/added.py", f"{INFO}/RECORD", "../x"):
        with pytest.raises(SourceError):
            tree.text(path)


def test_record_lays_claim_to_nothing_of_others(installed: Install, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    of_secret = digest(b"secret")
    folder = installed(
        {"thing.py": b"x = 1\n"},
        {"other.py": b"token = 1\n"},
        f"other.py,{digest(b'what it does not know')},10\n../secret.txt,{of_secret},6\n{tmp_path}/secret.txt,{of_secret},6\n"
        f"gone.py,{of_secret},6\nlink.py,{of_secret},6\n",
    )
    (folder.parent / "link.py").symlink_to(tmp_path / "secret.txt")
    tree = Distribution(folder)
    assert [file.path for file in tree.files()] == ["other.py", "thing.py"]
    assert {path for path, _ in tree.skipped} == {"gone.py", "link.py"}
    for path in ("other.py", "../secret.txt", str(tmp_path / "secret.txt"), "link.py"):
        with pytest.raises(SourceError):
            tree.read(path)


def test_what_was_changed_since_is_not_read(installed: Install) -> None:
    folder = installed({"thing.py": b"x = 1\n"})
    (folder.parent / "thing.py").write_text("x = 2\n")
    with pytest.raises(SourceError, match="is not what was installed"):
        Distribution(folder).text("thing.py")


async def test_it_is_a_source_like_any_other(installed: Install, tmp_path: Path) -> None:
    folder = installed({"thing/core.py": b"def beta():\n    return 1\n"}, {"other.py": b"def beta(): pass\n"})
    code = await Code.open([Source(kind="code", location=str(folder))], Cache(tmp_path / "cache"))
    try:
        assert [(p.source, p.root) for p in await code.symbols("beta")] == [("thing/core.py", str(folder))]
        assert [p.source for p in (await code.grep("beta")).passages] == ["thing/core.py"]
    finally:
        await code.close()


def test_checks_know_that_it_is_installed(installed: Install, tmp_path: Path) -> None:
    code = b"def _dead(): pass\n\n\ndef _called_by_machine_code(): pass\n\n\ndef run():\n" + b"    print(1)\n" * 200
    folder = installed(
        {f"{INFO}/METADATA": METADATA.encode(), "thing/core.py": code, "thing/fast.so": b"\0\x01_called_by_machine_code\0"}
    )
    base = Base(str(folder), Distribution(folder), tmp_path / "index.sqlite", history=None)
    base.files = {file.path: file for file in base.tree.files()}
    weak = dependencies.check(base).found
    assert [(o.severity, o.passages[0].text) for o in weak] == [("medium", "Version: 23.2.1"), ("low", "Requires-Dist: one")]
    assert [o.severity for o in untested.check(base).found] == ["info"]
    assert [o.claim for o in unused.check(base).found] == ["`thing/core.py` has a private function that nothing uses: `_dead`."]
    base.close()


def test_a_record_that_cannot_be_read(installed: Install) -> None:
    folder = installed({"thing.py": b""})
    (folder / "RECORD").write_text("\0\n" + "a" * 200_000 + ",b,c\n")
    assert Distribution(folder).files() == []
