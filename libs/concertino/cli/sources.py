"""Sources as they are named on the command line: paths made absolute and looked at, URLs taken apart."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from concertino.contracts.errors import BadSetting, SourceError
from concertino.contracts.messages import Source

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)\S+")
_PAGE = re.compile(r"https?://[^/\s]+\S*", re.IGNORECASE)


def is_remote(text: str) -> bool:
    """Whether ``text`` is a URL or names a repository on another machine, and so is no path."""
    return bool(_URL.match(text) or _SCP.fullmatch(text))


def code_source(text: str, named: str = "--code") -> Source:
    """A folder, or a git URL, with ``#REF`` after it for a branch, tag or commit. Raises :class:`SourceError`."""
    if is_remote(text):
        url, _, ref = text.partition("#")
        return _source("code", url, ref or None)
    path = _readable(text, named)
    if not path.is_dir():
        raise SourceError(f"{named} {text!r} is a file: name the folder that it is in, or read it as a document (docs)")
    return _source("code", str(path))


def docs_source(text: str, named: str = "--docs") -> Source:
    """A folder, a file, or a web address. Raises :class:`SourceError`."""
    return _source("docs", text if _URL.match(text) else str(_readable(text, named)))


def web_source(text: str, named: str = "--url") -> Source:
    """The address of a page. Raises :class:`SourceError`."""
    if not _PAGE.fullmatch(text):
        raise SourceError(f"{named} {text!r} is no web address: it begins with https:// or http:// and has no spaces")
    return _source("web", text)


def other_source(text: str, named: str = "--source") -> Source:
    """``KIND=LOCATION`` for a worker of one's own. A location that exists here as a path is made absolute.

    Raises :class:`BadSetting` where it has another form.
    """
    kind, equals, location = text.partition("=")
    if not (kind and equals and location):
        raise BadSetting(f"{named} {text!r}: write KIND=LOCATION, as in contracts=./signed")
    path = Path(location).expanduser()
    return _source(kind, os.path.abspath(path) if path.exists() else location)  # noqa: PTH100 (keeps links, drops "..")


def distinct(named: Iterable[Source]) -> tuple[Source, ...]:
    """``named`` in order, each once."""
    return tuple(dict.fromkeys(named))


def _readable(text: str, named: str) -> Path:
    if not text.strip():
        raise SourceError(f"{named} is empty: name a path or a URL")
    # Not resolve(): a link keeps the name that the caller knows it by.
    path = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100
    try:
        path.stat()
    except PermissionError as e:
        raise SourceError(f"{named} {text!r} may not be read: {e.strerror}") from e
    except (OSError, ValueError) as e:
        raise SourceError(f"{named} {text!r} does not exist: check the path, or give a URL with its scheme") from e
    if not (path.is_dir() or path.is_file()):
        raise SourceError(f"{named} {text!r} is neither a folder nor a file")
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        raise SourceError(f"{named} {text!r} may not be read by this user: change its permissions, or who runs this")
    return path


def _source(kind: str, location: str, ref: str | None = None) -> Source:
    try:
        return msgspec.convert({"kind": kind, "location": location, "ref": ref}, Source)
    except msgspec.ValidationError as e:
        raise BadSetting(f"the source {kind}={location[:200]}: {e}") from e
