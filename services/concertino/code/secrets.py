"""Credentials left in code. What is found is told by place and type: the value itself never leaves this module."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
from msgspec import Struct

from concertino.code.pieces import readable

MOST_SECONDS = 60.0
_MARK = "********"
_MOST_SHOWN = 120
_settings = threading.Lock()
"""The scanner's settings are global to the process."""


class Secret(Struct, frozen=True):
    """What looks like a credential. ``masked`` is its line up to where the value begins."""

    source: str
    line: int
    type: str
    masked: str


class Secrets(Struct, frozen=True):
    """``note`` says what is missing, if anything is."""

    found: tuple[Secret, ...]
    note: str = ""


def scan(texts: Iterable[tuple[str, str]], *, limit: int, seconds: float = MOST_SECONDS) -> Secrets:
    """The first ``limit`` likely credentials in ``texts`` (path and text). Nothing is verified with any server.

    Lines of more than LONGEST_LINE characters are left out: the scanner takes minutes for some.
    """
    found: list[Secret] = []
    until = time.monotonic() + seconds
    with _settings, default_settings(), tempfile.TemporaryDirectory(prefix="concertino-secrets-") as folder:
        for path, text in texts:
            if time.monotonic() > until:
                return Secrets(tuple(found), f"stopped after {seconds:g} seconds, at {path}: name fewer files")
            found.extend(_scan(Path(folder), path, text))
            if len(found) > limit:
                return Secrets(tuple(found[:limit]), f"there are more than {limit}: name fewer files")
    return Secrets(tuple(found))


def _scan(folder: Path, path: str, text: str) -> list[Secret]:
    """The scanner wants a file: it gets a copy under a harmless name, with the ending by which it knows YAML and INI."""
    copy = folder / f"scanned{Path(path).suffix if Path(path).suffix.isascii() else ''}"
    shown = readable(text)
    lines = shown.split("\n")
    copy.write_text(shown, "utf-8")
    values: dict[int, list[str]] = {}
    types: list[tuple[int, str]] = []
    for secret in scan_file(str(copy)):
        values.setdefault(secret.line_number, []).append(secret.secret_value or "")
        types.append((secret.line_number, secret.type))
    copy.unlink()
    return [Secret(path, n, type_, _masked(lines[n - 1], values[n])) for n, type_ in sorted(set(types)) if n <= len(lines)]


def _masked(line: str, values: list[str]) -> str:
    """The line up to the first value, or nothing of it where a value is not found as it stands."""
    places = [line.find(value) for value in values]
    return (line[: min(places)].strip()[:_MOST_SHOWN] if min(places) >= 0 else "") + _MARK
