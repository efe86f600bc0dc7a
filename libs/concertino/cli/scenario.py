"""A question kept in a file: its request, sources and limits, under the names that they have on the command line.

::

    shows = "What the answer is an example of."
    request = "Which of these tools ..."        # without it: the text of request.md, in the same folder
    code = ["../src", "{site-packages}/rich"]   # paths are relative to this file
    docs = ["papers/*.pdf"]
    deadline = "10m"
    max_subtasks = 12
"""

from __future__ import annotations

import glob
import os
import sysconfig
import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from concertino.cli.inputs import read_text
from concertino.cli.sources import is_remote
from concertino.contracts.errors import BadSetting, SourceError
from concertino.contracts.messages import Effort, Lane

FILE, REQUEST = "task.toml", "request.md"
PACKAGES = "{site-packages}"
"""In a path: the folder that holds the packages installed for this Python."""


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of :class:`~concertino.cli.question.TaskOptions`, and a request. Paths are absolute once it was read."""

    shows: str
    """One line for whoever chooses among several."""
    request: str = ""
    code: tuple[str, ...] = ()
    docs: tuple[str, ...] = ()
    url: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    deadline: str | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    max_subtasks: int | None = None
    max_rounds: int | None = None
    max_queued: str | None = None
    effort: Effort | None = None
    model: str | None = None
    plan: str | None = None
    lane: Lane | None = None


def scenario_file(request: str) -> Path | None:
    """The file that ``request`` names: ``@FOLDER`` with a ``task.toml`` in it, or ``@FILE.toml``. None: it names none.

    Raises :class:`BadSetting` for a folder without one.
    """
    if not request.startswith("@"):
        return None
    path = Path(request[1:]).expanduser()
    if path.suffix == ".toml":
        return path
    try:
        if not path.is_dir():
            return None
    except (OSError, ValueError):
        return None  # the reader of requests says what is wrong with it
    if not (path / FILE).is_file():
        raise BadSetting(f"{str(path)!r} is a folder without a {FILE}: name one with it, or a file with the request")
    return path / FILE


def read_scenario(path: Path) -> Scenario:
    """What the file at ``path`` asks.

    Raises :class:`BadSetting`, which names file and field, and :class:`SourceError` for a pattern that matches nothing.
    """
    try:
        found = msgspec.convert(tomllib.loads(read_text(str(path), "the scenario")), Scenario)
    except tomllib.TOMLDecodeError as e:
        raise BadSetting(f"{path} is not TOML: {e}") from e
    except msgspec.ValidationError as e:
        message, _, field = str(e).partition(" - at `$.")
        raise BadSetting(f"{path}: {field.rstrip('`') + ': ' if field else ''}{message[:1].lower()}{message[1:]}") from e
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 (keeps links, drops "..")
    request = found.request
    if not request and (folder / REQUEST).is_file():
        request = read_text(str(folder / REQUEST), "the request")
    return structs.replace(
        found,
        request=request,
        code=_placed(found.code, folder, f"{path}: code"),
        docs=_placed(found.docs, folder, f"{path}: docs"),
        source=tuple(_other(text, folder) for text in found.source),
        plan=str(folder / found.plan) if found.plan else None,
    )


def _placed(texts: tuple[str, ...], folder: Path, named: str) -> tuple[str, ...]:
    return tuple(place for text in texts for place in _places(text, folder, named))


def _places(text: str, folder: Path, named: str) -> list[str]:
    """What ``text`` stands for: a URL for itself, a path for itself, a pattern for all that matches it, sorted."""
    if not text.strip() or is_remote(text):
        return [text]
    home = os.path.expanduser(text)  # noqa: PTH111 (a user that does not exist is no error here, but a path that does not)
    path = os.path.normpath(folder / home.replace(PACKAGES, sysconfig.get_path("purelib")))
    if not glob.has_magic(path) or os.path.lexists(path):
        return [path]
    if found := sorted(glob.glob(path, recursive=True)):  # noqa: PTH207 (an absolute pattern)
        return found
    raise SourceError(f"{named} {text!r} matches nothing in {folder}")


def _other(text: str, folder: Path) -> str:
    kind, equals, location = text.partition("=")
    path = folder / location
    return f"{kind}={path}" if equals and location and not is_remote(location) and path.exists() else text
