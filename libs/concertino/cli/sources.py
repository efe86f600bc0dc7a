"""Sources as they are named on the command line: paths made absolute and looked at, URLs taken apart."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from concertino.contracts.errors import BadSetting, SourceError
from concertino.contracts.messages import Source

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SCP = re.compile(r"[\w.-]+@[\w.-]+:(?!//)\S+")


def code_source(text: str) -> Source:
    """A folder, or a git URL, with ``#REF`` after it for a branch, tag or commit. Raises :class:`SourceError`."""
    if _URL.match(text) or _SCP.fullmatch(text):
        url, _, ref = text.partition("#")
        return _source("code", url, ref or None)
    path = _readable(text, "--code")
    if not path.is_dir():
        raise SourceError(f"--code {text!r} is a file: name the folder that it is in, or read it with --docs")
    return _source("code", str(path))


def docs_source(text: str) -> Source:
    """A folder, a file, or a web address. Raises :class:`SourceError`."""
    return _source("docs", text if _URL.match(text) else str(_readable(text, "--docs")))


def other_source(text: str) -> Source:
    """``KIND=LOCATION`` for a worker of one's own. A location that exists here as a path is made absolute.

    Raises :class:`BadSetting` where it has another form.
    """
    kind, equals, location = text.partition("=")
    if not (kind and equals and location):
        raise BadSetting(f"--source {text!r}: write KIND=LOCATION, as in --source contracts=./signed")
    path = Path(location).expanduser()
    return _source(kind, os.path.abspath(path) if path.exists() else location)  # noqa: PTH100 (keeps links, drops "..")


def sources(code: Sequence[str], docs: Sequence[str], other: Sequence[str]) -> tuple[Source, ...]:
    """All of them, each once, in the order code, docs, other."""
    named = (*map(code_source, code), *map(docs_source, docs), *map(other_source, other))
    return tuple(source for number, source in enumerate(named) if source not in named[:number])


def _readable(text: str, option: str) -> Path:
    if not text.strip():
        raise SourceError(f"{option} is empty: name a path or a URL")
    # Not resolve(): a link keeps the name that the caller knows it by.
    path = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100
    try:
        path.stat()
    except PermissionError as e:
        raise SourceError(f"{option} {text!r} may not be read: {e.strerror}") from e
    except (OSError, ValueError) as e:
        raise SourceError(f"{option} {text!r} does not exist: check the path, or give a URL with its scheme") from e
    if not (path.is_dir() or path.is_file()):
        raise SourceError(f"{option} {text!r} is neither a folder nor a file")
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        raise SourceError(f"{option} {text!r} may not be read by this user: change its permissions, or who runs this")
    return path


def _source(kind: str, location: str, ref: str | None = None) -> Source:
    try:
        return msgspec.convert({"kind": kind, "location": location, "ref": ref}, Source)
    except msgspec.ValidationError as e:
        raise BadSetting(f"the source {kind}={location[:200]}: {e}") from e
