"""Copies of repositories: one commit each, kept below a cache folder and never changed once they are there.

``clones/<digest of URL and ref>/<commit>/tree`` are the files, ``git`` beside them is what git needs. A copy is made in a
temporary folder and renamed, so that any number of processes may want it at once; a branch that moved is another commit.
Whoever has a copy holds it, and all copies together, with the indexes, take what :class:`~concertino.retrieval.cache.Cache`
allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from concertino.code.git import GitFailed, git, is_passing
from concertino.code.location import Repository
from concertino.contracts.errors import DeadlineExceeded, SourceError, Transient
from concertino.retrieval.cache import Cache, Held
from concertino.retrieval.entries import BLOCK, folders_of, listed
from concertino.runtime.threads import in_thread

MOST_SECONDS = 300.0
MOST_BYTES = 1 << 30
"""Of what is fetched, and again of the files."""
MOST_FILES = 200_000
MOST_DEEP = 200
"""Folders in folders: no code is nested deeper, and to walk what is takes for ever."""
KEPT_SECONDS, UNUSED_SECONDS = 86_400.0, 7 * 86_400.0
"""An older commit's copy stays this long after its last use; and that of a repository that nobody asks for any more."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,63}")
_PRIVATE = re.compile(r"could not read (username|password)|authentication failed|permission denied|host key", re.IGNORECASE)
_TOO_LARGE = re.compile(r"signal 25|File too large|invalid index-pack output")
"""Who writes the pack is ended where it is over the limit of a file."""
_NOT_SHALLOW = re.compile(r"shallow|not our ref|unadvertised|does not allow", re.IGNORECASE)

_SERVED_HERE = "--upload-pack=git -c 'safe.directory=*' upload-pack"
"""Git is the server, too, of a repository on this machine, and to that one passes on no settings of ours. Whose the repository
is, which in a container is seldom us, does not matter: its own configuration makes it run nothing."""

_ABOUT_A_FILE = 256
"""Bytes beside its contents and twice its path: what git's index and the folder that it lies in say of it."""

_ATTRIBUTES = "* !text !crlf !eol !ident !filter !working-tree-encoding\n"
"""They come before those of the repository: its files are written as they are, and are as large as they were measured."""


class Limits(Struct, frozen=True):
    """What one copy may take."""

    seconds: float = MOST_SECONDS
    bytes: int = MOST_BYTES
    files: int = MOST_FILES


class Clone(Struct, frozen=True):
    """The files of one commit, in ``tree``; other files may be kept in ``held.folder``, until that is released. ``problems``:
    path and reason."""

    held: Held
    commit: str
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def tree(self) -> Path:
        return self.held.folder / "tree"


class Found(Struct, frozen=True):
    """What a commit holds: the paths of its submodules, and the bytes that its files take on the disk."""

    submodules: list[str]
    room: int


async def clone(repository: Repository, cache: Cache, limits: Limits = Limits()) -> Clone:  # noqa: B008  (frozen)
    """The commit that ``repository`` names now, from the cache if it is there.

    Where the server cannot be reached, the copy last used serves, and ``problems`` says so. Raises :class:`SourceError`
    where it cannot be cloned, and :class:`Transient` where trying again may help: there may be no room for it now.
    """
    key = hashlib.sha256(f"{repository.url}\0{repository.ref or ''}".encode()).hexdigest()[:32]
    home = cache.folder / "clones" / key
    problems: list[tuple[str, str]] = []
    try:
        commit = await _resolve(repository, limits)
    except Transient as e:
        commit = _last_used(home)
        if not commit:
            raise
        problems.append((str(repository), f"{e}: the copy made before is used, commit {commit[:12]}"))
    held = await _there(repository, commit, home, cache) or await _make(repository, commit, home, cache, limits)
    try:
        await asyncio.to_thread(_mark_used, home, held.folder, cache)
        left_out = (held.folder / "left-out").read_text("utf-8", "surrogateescape").split("\0")
    except BaseException:
        held.release()
        raise
    problems.extend((path, "a submodule, which is not cloned: give it as a source of its own") for path in left_out if path)
    return Clone(held, held.folder.name, tuple(problems))


async def _there(repository: Repository, commit: str, home: Path, cache: Cache) -> Held | None:
    for folder in sorted(home.glob(f"{commit or repository.ref}*")):  # a commit or its beginning: hex digits alone
        if held := await cache.hold_if_there(folder, str(repository)):
            return held
    return None


async def _resolve(repository: Repository, limits: Limits) -> str:
    """The commit a ref names; empty where only the whole repository can tell, because the ref is an abbreviated commit."""
    ref = repository.ref
    if ref and _COMMIT.fullmatch(ref):
        return ref
    names = ["HEAD"] if ref is None else [ref, f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]
    listed = await _remote(repository, "ls-remote", "-q", "--", repository.url, limits=limits)
    refs: dict[str, str] = {}
    for line in listed.decode("utf-8", "replace").splitlines():
        object_id, _, name = line.partition("\t")
        refs[name] = object_id
    for name in names:
        if name in refs:
            return refs[name]
    if not refs:
        raise SourceError(f"{repository}: the repository is empty: push a commit first")
    if ref and _ABBREVIATED.fullmatch(ref):
        return ""
    there = sorted(
        {name.split("/", 2)[2].removesuffix("^{}") for name in refs if name.startswith(("refs/heads/", "refs/tags/"))}
    )
    raise SourceError(
        f"{repository}: there is no branch, tag or commit of that name; there are {', '.join(there[:20]) or 'none'}"
    )


async def _make(repository: Repository, commit: str, home: Path, cache: Cache, limits: Limits) -> Held:
    """A new copy, complete or not there at all."""
    new = await cache.make(home, str(repository))
    work, target = new.folder, None
    try:
        await new.grow(BLOCK)
        here = {"GIT_DIR": str(work / "git"), "GIT_WORK_TREE": str(work / "tree")}
        (work / "tree").mkdir()
        form = "sha256" if len(commit) == 64 else "sha1"
        await git("init", "-q", "--template=", f"--object-format={form}", environment=here)
        (work / "git" / "info").mkdir(exist_ok=True)
        (work / "git" / "info" / "attributes").write_text(_ATTRIBUTES, "ascii")
        commit = await new.within(_fetch(repository, commit, here, limits))
        found = await _judge(repository, commit, here, limits)
        await new.grow(found.room)
        (work / "left-out").write_text("\0".join(found.submodules), "utf-8", "surrogateescape")
        await git("read-tree", commit, environment=here)
        await git("checkout-index", "--all", "--force", "--quiet", environment=here, cwd=work / "tree", seconds=limits.seconds)
        await in_thread(new.complete)
        target = home / commit
        try:
            new.move(target)
        except OSError:
            there = await cache.hold_if_there(target, str(repository))
            if there is None:  # else another process was faster, and its copy is the same
                raise
            return there
        return new
    except GitFailed as e:
        if is_passing(e):
            raise Transient(f"{repository} cannot be cloned now: {e}") from e
        raise SourceError(f"{repository} cannot be cloned: {e}") from e
    finally:
        if new.folder != target:
            new.release()
            await asyncio.to_thread(cache.remove, work)


async def _fetch(repository: Repository, commit: str, here: dict[str, str], limits: Limits) -> str:
    """Get ``commit``, alone if the server can do that, and say which it is."""
    if commit:
        try:
            what = ["--depth=1", "--", repository.url, commit]
            await _remote(repository, "fetch", "-q", "--no-tags", *what, limits=limits, environment=here)
        except SourceError as e:
            if not _NOT_SHALLOW.search(str(e)):
                raise
        else:
            return commit
    everything = ["--", repository.url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    await _remote(repository, "fetch", "-q", "--no-tags", "--update-head-ok", *everything, limits=limits, environment=here)
    try:
        found = await git(
            "rev-parse", "--verify", "-q", "--end-of-options", f"{commit or repository.ref}^{{commit}}", environment=here
        )
    except GitFailed as e:
        raise SourceError(f"{repository}: there is no such commit on any branch: check it, or give it in full") from e
    return found.decode().strip()


async def _judge(repository: Repository, commit: str, here: dict[str, str], limits: Limits) -> Found:
    """:class:`SourceError` where the files would take too much room: a small pack can hold a lot."""
    listing = await git("ls-tree", "-r", "-l", "-z", commit, environment=here, seconds=limits.seconds)
    return await in_thread(_judged, repository, listing, limits)


def _judged(repository: Repository, listing: bytes, limits: Limits) -> Found:
    size = files = room = 0
    submodules: list[str] = []
    folders = {""}
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        if not entry:
            continue
        about, path = entry.split("\t", 1)
        mode, _, _, length = about.split()
        if path.count("/") > MOST_DEEP:
            raise SourceError(
                f"{repository} nests over {MOST_DEEP} folders: clone it yourself and give the folder that matters"
            )
        folder = path.rpartition("/")[0]
        while folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
        if len(folders) > limits.files:  # a pack of a few bytes can hold millions
            raise SourceError(
                f"{repository} has more than {limits.files} folders: clone it yourself and give the folder that matters"
            )
        if mode == "160000":
            submodules.append(path)
        else:
            files += 1
            size += int(length)
            room += -(-max(int(length), 1) // BLOCK) * BLOCK + 2 * len(path) + _ABOUT_A_FILE
    if size > limits.bytes or files > limits.files:
        raise SourceError(
            f"{repository} is too large: {files} files of {size} bytes in all, where {limits.files} and {limits.bytes} are the "
            f"limits (CTN_CLONE_BYTES): clone it yourself and give the folder that matters"
        )
    return Found(submodules, room + len(folders) * BLOCK + BLOCK)


async def _remote(repository: Repository, *arguments: str, limits: Limits, environment: dict[str, str] | None = None) -> bytes:
    """Git, talking to the repository's server."""
    if repository.url.startswith("file://"):
        arguments = (arguments[0], _SERVED_HERE, *arguments[1:])
    try:
        return await git(
            *arguments, personal=True, environment=environment, seconds=limits.seconds, most_written=limits.bytes, cwd=os.sep
        )
    except DeadlineExceeded as e:
        raise Transient(f"{repository} cannot be cloned now: {e}") from e
    except GitFailed as e:
        if _TOO_LARGE.search(str(e)):
            raise SourceError(
                f"{repository} is larger than {limits.bytes} bytes (CTN_CLONE_BYTES): clone it yourself and give the folder "
                f"that matters"
            ) from e
        if _PRIVATE.search(str(e)):
            raise SourceError(
                f"{repository} cannot be cloned: {e}: it does not exist, or is private and git has no credentials for it here: "
                f"set up a credential helper or an SSH key, or give a directory"
            ) from e
        if is_passing(e):
            raise Transient(f"{repository} cannot be cloned now: {e}") from e
        raise SourceError(f"{repository} cannot be cloned: {e}") from e


def _last_used(home: Path) -> str:
    try:
        name = (home / "last").read_text("ascii").strip()
    except FileNotFoundError:
        return ""
    return name if _COMMIT.fullmatch(name) and (home / name).is_dir() else ""


def _mark_used(home: Path, folder: Path, cache: Cache) -> None:
    """Note the use, and remove what nobody has used for long: copies of older commits, and what a crash left behind."""
    with tempfile.NamedTemporaryFile("w", dir=home, prefix="last-", delete=False) as file:
        file.write(folder.name)
    Path(file.name).replace(home / "last")
    for other in listed(home.parent):
        _remove_unused(other, KEPT_SECONDS if other == home else UNUSED_SECONDS, cache)


def _remove_unused(home: Path, seconds: float, cache: Cache) -> None:
    for folder in folders_of(home):
        with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile, by whoever makes or removes copies
            if folder.stat().st_mtime < time.time() - seconds:
                cache.remove(folder)
