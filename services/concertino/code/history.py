"""Who changed what and why, from the objects of a local checkout.

Git runs in an empty repository of our own that borrows the checkout's objects. So the checkout's configuration, hooks,
attributes and drivers, which may name programs to run, are never read.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from concertino.code.git import GitFailed, git
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage

_SECONDS = 30.0
_MOST_MESSAGE = 4_000
_FIELD, _COMMIT = "\x1f", "\0"
_FORMAT = f"--format=%H{_FIELD}%ad{_FIELD}%an{_FIELD}%B"


class _Borrowed(Struct, frozen=True):
    commit: str
    prefix: str
    """Of the source's root within the checkout, with a slash at its end, or empty."""
    environment: Mapping[str, str]


class History:
    """History of the folder ``root``. What is not committed is not in it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def log(self, path: str, limit: int) -> list[Passage]:
        """The last ``limit`` commits that touched ``path`` (empty: the whole source), newest first."""
        options = ["-z", _FORMAT, "--date=short", "--no-color", "--no-ext-diff", "--no-textconv", f"--max-count={limit}"]
        async with self._borrowed() as head:
            where = (
                ["--follow", head.commit, "--", head.prefix + path]
                if path
                else [head.commit, "--", *filter(None, [head.prefix])]
            )
            try:
                output = await git("log", *options, *where, environment=head.environment, seconds=_SECONDS)
            except GitFailed as e:
                raise Invalid(f"{path or 'this source'} has no history that can be read: {e}") from e
        return [_entry(path, record) for record in output.decode("utf-8", "replace").split(_COMMIT) if record]

    async def blame(self, path: str, first: int, last: int) -> Passage:
        """Lines ``first`` to ``last`` of ``path`` as last committed, each with the commit that wrote it."""
        async with self._borrowed() as head:
            where = [f"-L{first},{last}", head.commit, "--", head.prefix + path]
            try:
                output = await git("blame", "--porcelain", *where, environment=head.environment, seconds=_SECONDS)
            except GitFailed as e:
                raise Invalid(f"{path!r}, lines {first} to {last}: {e}") from e
        return Passage(
            source=path,
            text="\n".join(_blamed(output.decode("utf-8", "replace"))),
            locator=Locator(fragment=f"blame of lines {first}-{last} at {head.commit[:12]}"),
            title=f"blame {path}",
        )

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[_Borrowed]:
        """What the checkout has as its HEAD now, and an empty repository that reads its objects."""
        try:
            commit = await self._parse("--verify", "-q", "HEAD^{commit}")
            folder = Path(await self._parse("--absolute-git-dir"))
            common = self._root / await self._parse("--git-common-dir")
            prefix = await self._parse("--show-prefix")
            form = await self._parse("--show-object-format")
        except GitFailed as e:
            raise Invalid(f"there is no history: this source is no git checkout with a commit ({e})") from e
        if not _is_its_own(self._root, folder) or not _shares(folder, common.resolve()):
            raise Invalid("there is no history: the .git of this source points elsewhere: give that checkout as a source")
        with tempfile.TemporaryDirectory(prefix="concertino-git-") as own:
            await git("init", "-q", "--bare", "--template=", f"--object-format={form}", environment={"GIT_DIR": own})
            environment = {"GIT_DIR": own, "GIT_OBJECT_DIRECTORY": str(common / "objects")}
            if (common / "shallow").is_file():
                environment["GIT_SHALLOW_FILE"] = str(common / "shallow")
            yield _Borrowed(commit, prefix, environment)

    async def _parse(self, *arguments: str) -> str:
        """Git's answer about the checkout. ``rev-parse`` starts no program, whatever the configuration says."""
        return (
            (await git("rev-parse", *arguments, cwd=self._root, seconds=_SECONDS))
            .decode("utf-8", "surrogateescape")
            .removesuffix("\n")
        )


def _is_its_own(root: Path, folder: Path) -> bool:
    """Whether ``folder`` is the git folder of ``root`` or of a folder above, or a work tree's that names ``root`` in return.

    A file ``.git`` can name any folder: without this, a hostile source could show another checkout's history as its own.
    """
    root = root.resolve()
    for above in (root, *root.parents):
        place = above / ".git"
        if place.is_dir() and not place.is_symlink() and place == folder:
            return True
        if place.is_file():
            back = folder / "gitdir"
            return back.is_file() and Path(back.read_text("utf-8", "surrogateescape").strip()) == place
    return False


def _shares(folder: Path, common: Path) -> bool:
    """Whether ``common``, where the objects are, is the git folder itself or the one that this work tree was made from."""
    return (common == folder or folder.parent == common / "worktrees") and not (common / "objects").is_symlink()


def _entry(path: str, record: str) -> Passage:
    commit, date, author, message = record.split(_FIELD, 3)
    message = message.strip()[:_MOST_MESSAGE]
    return Passage(
        source=path or ".",
        text=f"commit {commit}\nAuthor: {author}\nDate: {date}\n\n{message}",
        locator=Locator(fragment=f"commit {commit[:12]}"),
        title=message.partition("\n")[0][:200],
    )


_HEADER = re.compile(r"([0-9a-f]{40,64}) \d+ (\d+)")


def _blamed(porcelain: str) -> list[str]:
    """``<commit> <date> <author> <line>| <text>`` of each line."""
    about: dict[str, dict[str, str]] = {}
    lines: list[str] = []
    commit = number = ""
    for line in porcelain.split("\n"):
        if line.startswith("\t"):
            known = about[commit]
            day = datetime.fromtimestamp(int(known["author-time"]), UTC).date()
            lines.append(f"{commit[:12]} {day} {known['author']} {number}| {line[1:]}")
        elif header := _HEADER.match(line):
            commit, number = header[1], header[2]
            about.setdefault(commit, {})
        elif line:
            key, _, value = line.partition(" ")
            about[commit][key] = value
    return lines
