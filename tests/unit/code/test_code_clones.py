from __future__ import annotations

import asyncio
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from code_repositories import Repo

from concertino.code.clones import KEPT_SECONDS, UNUSED_SECONDS, Clone, Limits, clone
from concertino.code.location import Repository
from concertino.contracts.errors import SourceError, Transient

Make = Callable[[str], Repo]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def names(copy: Clone) -> set[str]:
    return {str(p.relative_to(copy.tree)) for p in copy.tree.rglob("*") if p.is_file()}


async def test_a_branch_is_cloned_once_and_again_when_it_moved(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    first = origin.commit({"a.py": "one"})
    copy = await clone(Repository(origin.url, "main"), cache)
    assert (copy.commit, (copy.tree / "a.py").read_text(), copy.problems) == (first, "one", ())
    assert await clone(Repository(origin.url, "main"), cache) == copy

    second = origin.commit({"a.py": "two"})
    moved = await clone(Repository(origin.url, "main"), cache)
    assert (moved.commit, (moved.tree / "a.py").read_text()) == (second, "two")
    assert (copy.tree / "a.py").read_text() == "one", "whoever still reads the older copy is not disturbed"


async def test_head_branches_tags_and_commits(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    first = origin.commit({"a": "1"})
    origin.git("tag", "-a", "v1", "-m", "annotated")
    origin.git("checkout", "-q", "-b", "feature/x")
    second = origin.commit({"a": "2"})
    origin.git("checkout", "-q", "main")
    third = origin.commit({"a": "3"})
    wanted = {None: third, "main": third, "feature/x": second, "v1": first, first: first, second[:9]: second}
    for ref, commit in wanted.items():
        assert (await clone(Repository(origin.url, ref), cache)).commit == commit
        assert (await clone(Repository(origin.url, ref), cache)).commit == commit


async def test_only_the_one_commit_is_fetched(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    for i in range(3):
        origin.commit({"a": str(i)})
    copy = await clone(Repository(origin.url, None), cache)
    assert (copy.folder / "git" / "shallow").read_text().strip() == copy.commit


async def test_many_at_once(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    copies = await asyncio.gather(*(clone(Repository(origin.url, None), cache) for _ in range(6)))
    assert len(set(copies)) == 1
    assert names(copies[0]) == {"a"}
    assert not list(copies[0].folder.parent.glob("new-*"))


async def test_what_goes_while_it_is_looked_at_is_no_fault(repo: Make, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others rename and remove their unfinished copies at any moment: also between a listing and a look."""
    origin = repo("origin")
    origin.commit({"a": "1"})
    home = (await clone(Repository(origin.url, None), cache)).folder.parent
    (home / "new-renamed").mkdir()
    listed, looked = Path.iterdir, Path.stat

    def outdated(folder: Path) -> Iterator[Path]:
        yield folder / "new-gone"
        yield from listed(folder)

    def last(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        """What is said of an unfinished copy, which is gone right after."""
        found = looked(path, follow_symlinks=follow_symlinks)
        if path.name == "new-renamed":
            path.rmdir()
        return found

    monkeypatch.setattr(Path, "iterdir", outdated)
    monkeypatch.setattr(Path, "stat", last)
    assert names(await clone(Repository(origin.url, None), cache)) == {"a"}


async def test_an_unreachable_server_means_the_copy_made_before(
    repo: Make, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    copy = await clone(Repository(origin.url, None), cache)

    async def unreachable(*_: object, **__: object) -> bytes:
        raise Transient("Could not resolve host")

    monkeypatch.setattr("concertino.code.clones._remote", unreachable)
    again = await clone(Repository(origin.url, None), cache)
    assert again.folder == copy.folder
    assert "the copy made before is used" in again.problems[0][1]
    with pytest.raises(Transient):
        await clone(Repository(origin.url, "other"), cache)


async def test_a_copy_nobody_used_for_long_goes_when_the_branch_moved(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    old = await clone(Repository(origin.url, None), cache)
    left = old.folder.parent / "new-crashed"
    left.mkdir()
    origin.commit({"a": "2"})
    await clone(Repository(origin.url, None), cache)
    assert old.folder.exists()
    for folder in (old.folder, left):
        os.utime(folder, (0, folder.stat().st_mtime - KEPT_SECONDS - 1))
    await clone(Repository(origin.url, None), cache)
    assert not old.folder.exists()
    assert not left.exists()


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("nowhere", "there is no branch, tag or commit of that name; there are main"),
        ("abcdef1", "no such commit"),
        ("0" * 39 + "1", "no such commit"),
    ],
)
async def test_a_ref_that_does_not_exist(repo: Make, cache: Path, ref: str, says: str) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    with pytest.raises(SourceError, match=says):
        await clone(Repository(origin.url, ref), cache)


async def test_what_cannot_be_cloned_says_why_in_one_line(repo: Make, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is empty: push a commit first"):
        await clone(Repository(repo("empty").url, None), cache)
    with pytest.raises(SourceError, match=r"cannot be cloned: .*nothing") as failure:
        await clone(Repository(f"file://{tmp_path}/nothing", None), cache)
    assert "\n" not in str(failure.value)
    with pytest.raises(Transient, match="cannot be cloned now"):
        await clone(Repository("http://bob:secret@127.0.0.1:1/a", None), cache)
    with pytest.raises((SourceError, Transient)) as failure:
        await clone(Repository("http://bob:secret@127.0.0.1:1/a", None), cache)
    assert "secret" not in str(failure.value)


async def test_a_private_repository_asks_nobody(cache: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SourceError, match="set up a credential helper"):
            await clone(Repository(f"http://127.0.0.1:{port}/a.git", None), cache)


async def test_limits(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    origin.commit({"a": "0" * 3_000_000})
    with pytest.raises(SourceError, match="too large: 1 files of 3000000 bytes"):
        await clone(Repository(origin.url, None), cache, Limits(bytes=1_000_000))
    origin.commit({"a": os.urandom(3_000_000)})
    with pytest.raises(SourceError, match="larger than 1000000 bytes"):
        await clone(Repository(origin.url, None), cache, Limits(bytes=1_000_000))
    with pytest.raises(Transient, match="not done within 0 seconds"):
        await clone(Repository(origin.url, None), cache, Limits(seconds=0))
    assert not list(cache.rglob("new-*"))


async def test_nothing_in_a_repository_runs_or_leads_out(repo: Make, cache: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    origin, inner = repo("origin"), repo("inner")
    inner.commit({"secret.py": "x = 1"})
    origin.commit(
        {
            ".gitattributes": "* filter=evil diff=evil merge=evil\n",
            ".gitmodules": f'[submodule "sub"]\n\tpath = sub\n\turl = {inner.url}\n\tupdate = !touch {ran}\n',
            ".gitconfig": f"[core]\n\tfsmonitor = touch {ran}\n",
            "a.py": "a = 1\n",
            "hooks/post-checkout": f"#!/bin/sh\ntouch {ran}\n",
        }
    )
    (origin.root / "link").symlink_to("/etc/passwd")
    (origin.root / "up").symlink_to("..")
    origin.git("add", "link", "up")
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{inner.git('rev-parse', 'HEAD')},sub")
    origin.git("commit", "-q", "-m", "links")
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-receive", "post-upload-pack"):
        path = origin.root / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {ran}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    origin.git("config", "uploadpack.packObjectsHook", f"touch {ran}; false")
    origin.git("config", "filter.evil.smudge", f"touch {ran}")

    copy = await clone(Repository(origin.url, None), cache)
    assert not ran.exists()
    assert not any(path.is_symlink() for path in copy.tree.rglob("*"))
    assert (copy.tree / "link").read_text() == "/etc/passwd"
    assert not (copy.tree / "sub" / "secret.py").exists()
    assert copy.problems == (("sub", "a submodule, which is not cloned: give it as a source of its own"),)


async def test_the_operators_environment_does_not_lead_git_elsewhere(
    repo: Make, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = repo("origin")
    commit = origin.commit({"a": "1"})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_TEMPLATE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert (await clone(Repository(origin.url, None), cache)).commit == commit
    assert not (tmp_path / "elsewhere").exists()


async def test_a_repository_on_this_machine_may_belong_to_somebody_else(
    repo: Make, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = repo("origin")
    commit = origin.commit({"a": "1"})
    # Git's own way to test this without being root.
    monkeypatch.setattr("concertino.code.git._KEPT", {"GIT_TEST_ASSUME_DIFFERENT_OWNER"})
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert origin.url.startswith("file://")
    for ref in (None, commit, commit[:9]):
        assert (await clone(Repository(origin.url, ref), cache)).commit == commit


async def test_odd_names(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    odd = {"-rf", "new\nline.py", "glob*[a].py", "ümlaut.py", "sp ace"}
    origin.commit(dict.fromkeys(odd, "x"))
    assert names(await clone(Repository(origin.url, None), cache)) == odd


async def test_no_name_in_a_tree_leads_out_of_the_copy(repo: Make, cache: Path, tmp_path: Path) -> None:
    """Trees that no git makes, and that a hostile server may send."""
    origin = repo("origin")
    origin.commit({"a": "1"})
    blob = origin.git("hash-object", "-w", "a")
    outside = tmp_path / "outside"
    inside = {"100755 post-checkout": blob}
    for entries in (
        {"100644 ..": blob},
        {"100644 ../../../../../outside": blob},
        {f"100644 {outside}": blob},
        {"40000 .git": tree(origin, {"40000 hooks": tree(origin, inside)})},
        {"40000 .GIT": tree(origin, inside)},
        {"40000 git~1": tree(origin, inside)},
    ):
        commit = origin.git("commit-tree", tree(origin, entries), "-m", "x")
        origin.git("update-ref", "refs/heads/evil", commit)
        with pytest.raises(SourceError, match="cannot be cloned"):
            await clone(Repository(origin.url, "evil"), cache)
        assert not outside.exists()
        assert not list(cache.rglob("new-*"))


async def test_what_is_nested_too_deep_is_refused_before_it_is_written(repo: Make, cache: Path) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    deep = tree(origin, {"100644 a": origin.git("hash-object", "-w", "a")})
    for _ in range(250):
        deep = tree(origin, {"40000 d": deep})
    origin.git("update-ref", "refs/heads/deep", origin.git("commit-tree", deep, "-m", "x"))
    with pytest.raises(SourceError, match="nests over 200 folders"):
        await clone(Repository(origin.url, "deep"), cache)
    assert not list(cache.rglob("new-*"))


async def test_a_few_large_files_are_measured_together(repo: Make, cache: Path) -> None:
    """Git would unpack so few, each into a file of its own, and none of those is over the limit."""
    origin = repo("origin")
    origin.commit({f"f{n}": os.urandom(300_000) for n in range(20)})
    with pytest.raises(SourceError, match="larger than 2000000 bytes"):
        await clone(Repository(origin.url, None), cache, Limits(bytes=2_000_000))
    assert not list(cache.rglob("new-*"))


async def test_copies_of_repositories_that_nobody_asks_for_any_more_go(repo: Make, cache: Path) -> None:
    first, second = repo("first"), repo("second")
    for origin in (first, second):
        origin.commit({"a": "1"})
    old, young = await clone(Repository(first.url, None), cache), await clone(Repository(first.url, "main"), cache)
    long_ago = old.folder.stat().st_mtime - UNUSED_SECONDS - 60
    os.utime(old.folder, (long_ago, long_ago))
    await clone(Repository(second.url, None), cache)
    assert (old.folder.exists(), young.folder.exists()) == (False, True)
    assert names(await clone(Repository(first.url, None), cache)) == {"a"}


def tree(origin: Repo, entries: dict[str, str]) -> str:
    """The id of a tree that is written as it is: mode and name to object."""
    data = b"".join(entry.encode() + b"\0" + bytes.fromhex(id_) for entry, id_ in entries.items())
    command = ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"]
    done = subprocess.run(command, cwd=origin.root, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()
