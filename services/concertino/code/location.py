"""What a source's location says: a folder of this machine, or a repository elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Source
from concertino.masking import without_credentials

_SCHEMES = ("https", "http", "ssh", "git", "file")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_SCP = re.compile(r"(?:[A-Za-z0-9_.+-]+@)?[A-Za-z0-9_.-]+:(?![:/]/?$)(?!:).+", re.DOTALL)
_REF = re.compile(r"(?!-)(?!.*(\.\.|@\{|//))[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])")


class Repository(Struct, frozen=True):
    """A git URL, checked, and the branch, tag or commit wanted of it (None: what its HEAD names)."""

    url: str
    ref: str | None

    def __str__(self) -> str:
        return without_credentials(self.url) + (f" at {self.ref}" if self.ref else "")


def locate(source: Source) -> Path | Repository:
    """Folder or repository. :class:`SourceError` where the location or the ref is neither, or could be taken for an option."""
    location = source.location
    if "://" not in location and Path(location).expanduser().exists():
        return _folder(source)
    if not _is_git_url(location):
        return _folder(source)
    bad = re.search(r"[\x00-\x20\x7f]", location)
    if bad or location.startswith("-") or re.search(r"(^|[@/:])-", location.partition("://")[2].partition("/")[0] or location):
        raise SourceError(
            f"{without_credentials(location)!r} cannot be cloned: it has a blank or a part that git takes for an option"
        )
    if source.ref is not None and not _REF.fullmatch(source.ref):
        raise SourceError(f"{source.ref!r} is no branch, tag or commit: give its name as `git branch` or `git log` shows it")
    return Repository(location, source.ref)


def _is_git_url(location: str) -> bool:
    if url := _URL.fullmatch(location):
        if url["scheme"].lower() not in _SCHEMES:
            raise SourceError(f"{url['scheme']}:// cannot be cloned: give a URL of {', '.join(_SCHEMES)}, or a directory")
        return True
    if re.match(r"[A-Za-z0-9+.-]+::", location):
        raise SourceError(f"{location[:40]!r} names a program to run, and none is: give a URL of {', '.join(_SCHEMES)}")
    return _SCP.fullmatch(location) is not None


def _folder(source: Source) -> Path:
    folder = Path(source.location).expanduser()
    if not folder.exists():
        raise SourceError(f"{source.location!r} does not exist: give a directory of this machine or a git URL")
    if not folder.is_dir():
        raise SourceError(f"{source.location!r} is a file: give the directory it lies in")
    if source.ref is not None:
        raise SourceError(
            f"{source.location!r} is a directory, and is read as it lies there: leave out the ref {source.ref!r}, "
            f"or give file://{folder.resolve()} to read that ref of its repository"
        )
    return folder
