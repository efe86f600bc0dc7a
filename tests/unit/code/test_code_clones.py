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
from concertino.retrieval.cache import Cache
from kit.waiting import until

Make = Callable[[str], Repo]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def names(copy: Clone) -> set[str]:
    return {str(p.relative_to(copy.tree)) for p in copy.tree.rglob("*") if p.is_file()}


async def test_a_branch_is_cloned_once_and_again_when_it_moved(repo: Make, cache: Cache) -> None:
    origin = repo("origin")
    first = origin.commit({"a.py": "one"})
    copy = await clone(Repository(origin.url, "main"), cache)
    assert (copy.commit, (copy.tree / "a.py").read_text(), copy.problems) == (first, "one", ())
    assert (await clone(Repository(origin.url, "main"), cache)).tree == copy.tree

    second = origin.commit({"a.py": "two"})
    moved = await clone(Repository(origin.url, "main"), cache)
    assert (moved.commit, (moved.tree / "a.py").read_text()) == (second, "two")
    assert (copy.tree / "a.py").read_text() == "one", "whoever still reads the older copy is not disturbed"


async def test_head_branches_tags_and_commits(repo: Make, cache: Cache) -> None:
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


async def test_only_the_one_commit_is_fetched(repo: Make, cache: Cache) -> None:
    origin = repo("origin")
    for i in range(3):
        origin.commit({"a": str(i)})
    copy = await clone(Repository(origin.url, None), cache)
    assert (copy.held.folder / "git" / "shallow").read_text().strip() == copy.commit


async def test_many_at_once(repo: Make, cache: Cache) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    copies = await asyncio.gather(*(clone(Repository(origin.url, None), cache) for _ in range(6)))
    assert len({copy.tree for copy in copies}) == 1
    assert names(copies[0]) == {"a"}
    assert not list(copies[0].held.folder.parent.glob("new-*"))


async def test_what_goes_while_it_is_looked_at_is_no_fault(repo: Make, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others rename and remove their unfinished copies at any moment: also between a listing and a look."""
    origin = repo("origin")
    origin.commit({"a": "1"})
    home = (await clone(Repository(origin.url, None), cache)).held.folder.parent
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
    repo: Make, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    copy = await clone(Repository(origin.url, None), cache)

    async def unreachable(*_: object, **__: object) -> bytes:
        raise Transient("Could not resolve host")

    monkeypatch.setattr("concertino.code.clones._remote", unreachable)
    again = await clone(Repository(origin.url, None), cache)
    assert again.held.folder == copy.held.folder
    assert "the copy made before is used" in again.problems[0][1]
    with pytest.raises(Transient):
        await clone(Repository(origin.url, "other"), cache)


async def test_a_copy_nobody_used_for_long_goes_when_the_branch_moved(repo: Make, cache: Cache) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    old = await clone(Repository(origin.url, None), cache)
    left = old.held.folder.parent / "new-crashed"
    left.mkdir()
    origin.commit({"a": "2"})
    await clone(Repository(origin.url, None), cache)
    assert old.held.folder.exists()
    old.held.release()
    for folder in (old.held.folder, left):
        os.utime(folder, (0, folder.stat().st_mtime - KEPT_SECONDS - 1))
    await clone(Repository(origin.url, None), cache)
    assert not old.held.folder.exists()
    assert not left.exists()


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("nowhere", "there is no branch, tag or commit of that name; there are main"),
        ("abcdef1", "no such commit"),
        ("0" * 39 + "1", "no such commit"),
    ],
)
async def test_a_ref_that_does_not_exist(repo: Make, cache: Cache, ref: str, says: str) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    with pytest.raises(SourceError, match=says):
        await clone(Repository(origin.url, ref), cache)


async def test_what_cannot_be_cloned_says_why_in_one_line(repo: Make, cache: Cache, tmp_path: Path) -> None:
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


async def test_a_private_repository_asks_nobody(cache: Cache) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SourceError, match="set up a credential helper"):
            await clone(Repository(f"http://127.0.0.1:{port}/a.git", None), cache)


async def test_limits(repo: Make, cache: Cache) -> None:
    origin = repo("origin")
    origin.commit({"a": "0" * 3_000_000})
    with pytest.raises(SourceError, match="too large: 1 files of 3000000 bytes"):
        await clone(Repository(origin.url, None), cache, Limits(bytes=1_000_000))
    origin.commit({"a": os.urandom(3_000_000)})
    with pytest.raises(SourceError, match="larger than 1000000 bytes"):
        await clone(Repository(origin.url, None), cache, Limits(bytes=1_000_000))
    origin.commit({"a": "1", "b": "2", "c": "3"})
    assert names(await clone(Repository(origin.url, None), Cache(cache.folder / "roomy"), Limits(files=3))) == {"a", "b", "c"}
    with pytest.raises(SourceError, match="too large: 3 files of 3 bytes"):
        await clone(Repository(origin.url, None), Cache(cache.folder / "other"), Limits(files=2))
    with pytest.raises(Transient, match="not done within 0 seconds"):
        await clone(Repository(origin.url, None), cache, Limits(seconds=0))
    assert not list(cache.folder.rglob("new-*"))


async def test_nothing_in_a_repository_runs_or_leads_out(repo: Make, cache: Cache, tmp_path: Path) -> None:
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
    assert not (copy.held.folder / "git" / "hooks").exists(), "no templates of this machine either"


async def test_no_attribute_of_a_repository_changes_what_is_read(repo: Make, cache: Cache) -> None:
    """An encoding would make its files larger than they were measured, or take them out of the reader's sight."""
    origin = repo("origin")
    files = {"a.py": b"secret = 1\nrest = 2\n", "b/c.py": b"$Id$\r\n", "d.py": "na\u00efve\n".encode()}
    (origin.root / ".git" / "info").mkdir(exist_ok=True)
    (origin.root / ".git" / "info" / "attributes").write_text("* !text !eol !ident !working-tree-encoding\n")  # as they are
    attributes = {
        ".gitattributes": "* text eol=crlf ident\n*.py working-tree-encoding=UTF-32\n",
        "b/.gitattributes": "c.py text eol=crlf ident working-tree-encoding=UTF-16\n",
    }
    origin.commit({**files, **attributes})
    copy = await clone(Repository(origin.url, None), cache)
    assert {name: (copy.tree / name).read_bytes() for name in files} == files


async def test_the_operators_environment_does_not_lead_git_elsewhere(
    repo: Make, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = repo("origin")
    commit = origin.commit({"a": "1"})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_TEMPLATE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert (await clone(Repository(origin.url, None), cache)).commit == commit
    assert not (tmp_path / "elsewhere").exists()


async def test_a_repository_on_this_machine_may_belong_to_somebody_else(
    repo: Make, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


async def test_odd_names(repo: Make, cache: Cache) -> None:
    origin = repo("origin")
    odd = {"-rf", "new\nline.py", "glob*[a].py", "ümlaut.py", "sp ace"}
    origin.commit(dict.fromkeys(odd, "x"))
    assert names(await clone(Repository(origin.url, None), cache)) == odd


async def test_no_name_in_a_tree_leads_out_of_the_copy(repo: Make, cache: Cache, tmp_path: Path) -> None:
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
        assert not list(cache.folder.rglob("new-*"))


async def test_what_is_nested_too_deep_is_refused_before_it_is_written(repo: Make, cache: Cache) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"})
    deep = tree(origin, {"100644 a": origin.git("hash-object", "-w", "a")})
    for _ in range(250):
        deep = tree(origin, {"40000 d": deep})
    origin.git("update-ref", "refs/heads/deep", origin.git("commit-tree", deep, "-m", "x"))
    with pytest.raises(SourceError, match="nests over 200 folders"):
        await clone(Repository(origin.url, "deep"), cache)
    assert not list(cache.folder.rglob("new-*"))


async def test_a_few_large_files_are_measured_together(repo: Make, cache: Cache) -> None:
    """Git would unpack so few, each into a file of its own, and none of those is over the limit."""
    origin = repo("origin")
    origin.commit({f"f{n}": os.urandom(300_000) for n in range(20)})
    with pytest.raises(SourceError, match="larger than 2000000 bytes"):
        await clone(Repository(origin.url, None), cache, Limits(bytes=2_000_000))
    assert not list(cache.folder.rglob("new-*"))


async def test_copies_of_repositories_that_nobody_asks_for_any_more_go(repo: Make, cache: Cache) -> None:
    first, second = repo("first"), repo("second")
    for origin in (first, second):
        origin.commit({"a": "1"})
    old, young = await clone(Repository(first.url, None), cache), await clone(Repository(first.url, "main"), cache)
    old.held.release()
    long_ago = old.held.folder.stat().st_mtime - UNUSED_SECONDS - 60
    os.utime(old.held.folder, (long_ago, long_ago))
    await clone(Repository(second.url, None), cache)
    assert (old.held.folder.exists(), young.held.folder.exists()) == (False, True)
    assert names(await clone(Repository(first.url, None), cache)) == {"a"}


async def test_folders_are_counted_before_they_are_written(repo: Make, cache: Cache) -> None:
    """A pack of a few hundred bytes: one chain of folders, hung up a thousand times."""
    origin = repo("origin")
    origin.commit({"a": "1"})
    chain = tree(origin, {"100644 a": origin.git("hash-object", "-w", "a")})
    for _ in range(100):
        chain = tree(origin, {"40000 d": chain})
    wide = tree(origin, {f"40000 {number:04}": chain for number in range(1000)})
    origin.git("update-ref", "refs/heads/wide", origin.git("commit-tree", wide, "-m", "x"))
    with pytest.raises(SourceError, match="has more than 20000 folders"):
        await clone(Repository(origin.url, "wide"), cache, Limits(files=20_000))
    assert not list(cache.folder.rglob("new-*"))


def sized(make: Make, name: str, megabytes: int = 3) -> Repository:
    """It takes about twice that: as a pack, and as a file."""
    origin = make(name)
    origin.commit({"a": os.urandom(megabytes << 20)})
    return Repository(origin.url, None)


def taken(cache: Cache) -> int:
    return sum(path.lstat().st_blocks * 512 for path in cache.folder.rglob("*"))


async def test_all_copies_together_are_bounded_and_the_one_longest_unused_goes(repo: Make, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 16 << 20)
    first, second, third = (sized(repo, name) for name in ("first", "second", "third"))
    copies = {}
    for number, repository in enumerate((first, second)):
        copies[repository] = await clone(repository, cache)
        copies[repository].held.release()
        os.utime(copies[repository].held.folder, (1000 + number, 1000 + number))
    (await clone(first, cache)).held.release()  # it is used once more
    (await clone(third, cache)).held.release()
    assert (copies[first].tree.exists(), copies[second].tree.exists()) == (True, False)
    assert taken(cache) <= cache.limit
    assert not copies[second].held.folder.parent.exists(), "nothing is left of it"
    assert (await clone(second, cache)).tree.exists()


async def test_a_copy_in_use_never_goes(repo: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concertino.retrieval.cache.WAITS", 0.5)
    cache = Cache(tmp_path / "cache", 16 << 20)
    used = [await clone(sized(repo, name), cache) for name in ("first", "second")]
    third, another = sized(repo, "third"), Cache(cache.folder, cache.limit)
    with pytest.raises(Transient, match="or raise CTN_CACHE_BYTES"):
        await clone(third, another)
    assert all(copy.tree.exists() for copy in used)
    assert not list(cache.folder.rglob("new-*"))
    used[1].held.release()
    assert (await clone(third, another)).tree.exists()
    assert (used[0].tree.exists(), used[1].tree.exists()) == (True, False)


async def test_who_waits_for_room_gets_it_when_another_is_done(repo: Make, tmp_path: Path) -> None:
    cache, another = (Cache(tmp_path / "cache", 10 << 20) for _ in range(2))
    first, second = await clone(sized(repo, "first"), cache), asyncio.create_task(clone(sized(repo, "second"), another))

    async def fetched() -> bool:
        return bool(list(cache.folder.rglob("new-*/git/objects/pack/*.pack"))) or second.done()

    await until(fetched)
    first.held.release()
    assert (await second).tree.exists()


async def test_what_does_not_fit_even_alone_is_refused_and_leaves_nothing(repo: Make, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 5 << 20)
    for name, megabytes in (("pack", 8), ("files", 4)):
        with pytest.raises(SourceError, match=f"{name} takes more than 5242880 bytes .* raise CTN_CACHE_BYTES"):
            await clone(sized(repo, name, megabytes), cache)
    assert taken(cache) < 1 << 20


async def test_a_copy_of_an_earlier_release_counts_and_goes(repo: Make, tmp_path: Path) -> None:
    """It was not measured, and nobody locks it."""
    cache, earlier = Cache(tmp_path / "cache", 10 << 20), sized(repo, "earlier")
    copy = await clone(earlier, cache)
    copy.held.release()
    for name in ("room", "size"):
        (copy.held.folder / name).unlink()
    assert (await clone(earlier, cache)).tree == copy.tree
    (copy.held.folder / "room").unlink()
    (cache.folder / "indexes" / "code").mkdir(parents=True)
    (cache.folder / "indexes" / "code" / "0123.sqlite").write_bytes(b"0" * 100)
    assert (await clone(sized(repo, "later"), cache)).tree.exists()
    assert not copy.tree.exists()
    assert not list(cache.folder.rglob("*.sqlite"))
    assert taken(cache) <= cache.limit


def tree(origin: Repo, entries: dict[str, str]) -> str:
    """The id of a tree that is written as it is: mode and name to object."""
    data = b"".join(entry.encode() + b"\0" + bytes.fromhex(id_) for entry, id_ in entries.items())
    command = ["git", "hash-object", "-w", "-t", "tree", "--stdin", "--literally"]
    done = subprocess.run(command, cwd=origin.root, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()
