"""Copies of repositories: one commit each, kept below a cache folder and never changed once they are there.

``<cache>/<digest of URL and ref>/<commit>/tree`` are the files, ``git`` beside them is what git needs. A copy is made in a
temporary folder and renamed, so that any number of processes may want it at once; a branch that moved is another commit.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from concertino.code.git import GitFailed, git, is_passing
from concertino.code.location import Repository
from concertino.contracts.errors import DeadlineExceeded, SourceError, Transient

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


class Limits(Struct, frozen=True):
    """What one copy may take."""

    seconds: float = MOST_SECONDS
    bytes: int = MOST_BYTES
    files: int = MOST_FILES


class Clone(Struct, frozen=True):
    """The files of one commit, in ``folder / "tree"``; other files may be kept in ``folder``. ``problems``: path and reason."""

    folder: Path
    commit: str
    problems: tuple[tuple[str, str], ...] = ()

    @property
    def tree(self) -> Path:
        return self.folder / "tree"


async def clone(repository: Repository, cache: Path, limits: Limits = Limits()) -> Clone:  # noqa: B008  (frozen)
    """The commit that ``repository`` names now, from the cache if it is there.

    Where the server cannot be reached, the copy last used serves, and ``problems`` says so. Raises :class:`SourceError`
    where it cannot be cloned, and :class:`Transient` where trying again may help.
    """
    key = hashlib.sha256(f"{repository.url}\0{repository.ref or ''}".encode()).hexdigest()[:32]
    home = cache / "clones" / key
    home.mkdir(parents=True, exist_ok=True)
    problems: list[tuple[str, str]] = []
    try:
        commit = await _resolve(repository, limits)
    except Transient as e:
        commit = _last_used(home)
        if not commit:
            raise
        problems.append((str(repository), f"{e}: the copy made before is used, commit {commit[:12]}"))
    folder = next(iter(sorted(home.glob(f"{commit or repository.ref}*"))), None)  # a commit or its beginning: hex digits alone
    if folder is None:
        folder = await _make(repository, commit, home, limits)
    await asyncio.to_thread(_mark_used, home, folder)
    left_out = (folder / "left-out").read_text("utf-8", "surrogateescape").split("\0")
    problems.extend((path, "a submodule, which is not cloned: give it as a source of its own") for path in left_out if path)
    return Clone(folder, folder.name, tuple(problems))


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


async def _make(repository: Repository, commit: str, home: Path, limits: Limits) -> Path:
    """A new copy, complete or not there at all."""
    work = Path(tempfile.mkdtemp(prefix="new-", dir=home))
    try:
        here = {"GIT_DIR": str(work / "git"), "GIT_WORK_TREE": str(work / "tree")}
        (work / "tree").mkdir()
        form = "sha256" if len(commit) == 64 else "sha1"
        await git("init", "-q", "--template=", f"--object-format={form}", environment=here)
        commit = await _fetch(repository, commit, here, limits)
        left_out = await _judge(repository, commit, here, limits)
        (work / "left-out").write_text("\0".join(left_out), "utf-8", "surrogateescape")
        await git("read-tree", commit, environment=here)
        await git("checkout-index", "--all", "--force", "--quiet", environment=here, cwd=work / "tree", seconds=limits.seconds)
        target = home / commit
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, and its copy is the same
                raise
        return target
    except GitFailed as e:
        raise SourceError(f"{repository} cannot be cloned: {e}") from e
    finally:
        await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)  # gone where it was renamed


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


async def _judge(repository: Repository, commit: str, here: dict[str, str], limits: Limits) -> list[str]:
    """The paths of submodules. :class:`SourceError` where the files would take too much room: a small pack can hold a lot."""
    size = files = 0
    submodules: list[str] = []
    listed = await git("ls-tree", "-r", "-l", "-z", commit, environment=here, seconds=limits.seconds)
    for entry in listed.decode("utf-8", "surrogateescape").split("\0"):
        if not entry:
            continue
        about, path = entry.split("\t", 1)
        mode, _, _, length = about.split()
        if path.count("/") > MOST_DEEP:
            raise SourceError(
                f"{repository} nests over {MOST_DEEP} folders: clone it yourself and give the folder that matters"
            )
        if mode == "160000":
            submodules.append(path)
        else:
            files += 1
            size += int(length)
    if size > limits.bytes or files > limits.files:
        raise SourceError(
            f"{repository} is too large: {files} files of {size} bytes in all, where {limits.files} and {limits.bytes} are the "
            f"limits: clone it yourself and give the folder that matters"
        )
    return submodules


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
                f"{repository} is larger than {limits.bytes} bytes: clone it yourself and give the folder that matters"
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


def _mark_used(home: Path, folder: Path) -> None:
    """Note the use, and remove what nobody has used for long: copies of older commits, and what a crash left behind."""
    os.utime(folder)
    with tempfile.NamedTemporaryFile("w", dir=home, prefix="last-", delete=False) as file:
        file.write(folder.name)
    Path(file.name).replace(home / "last")
    _remove_unused(home, KEPT_SECONDS, folder)
    for other in home.parent.iterdir():
        if other != home:
            _remove_unused(other, UNUSED_SECONDS)


def _remove_unused(home: Path, seconds: float, used: Path | None = None) -> None:
    try:
        folders = list(home.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for folder in folders:
        try:
            about = folder.stat()
        except FileNotFoundError:  # renamed or removed meanwhile, by whoever makes or removes copies beside us
            continue
        if stat.S_ISDIR(about.st_mode) and folder != used and about.st_mtime < time.time() - seconds:
            shutil.rmtree(folder, ignore_errors=True)  # another process may be doing the same
