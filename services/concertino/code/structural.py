"""Search by the shape of code: ast-grep patterns, in which ``$A`` stands for one node and ``$$$`` for any number."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

import ast_grep_py
from ast_grep_py import SgNode, SgRoot

from concertino.code.grep import Matches
from concertino.code.kinds import reading_of
from concertino.code.pieces import readable, whole_lines
from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage
from concertino.retrieval.roles import role_of

LANGUAGES = (
    *("python", "javascript", "typescript", "tsx", "go", "java", "rust"),
    *("c", "cpp", "csharp", "css", "elixir", "haskell", "html", "kotlin", "lua", "php", "ruby", "scala", "swift"),
)
"""Those that ast-grep parses and files are recognised as. It ends the process's trust in itself on any other: never ask it."""

MOST_SECONDS = 20.0
_MOST_LINES = 80
_LITERAL = re.compile(r"\${1,3}[A-Z_]*[A-Z0-9_]*|([A-Za-z_]\w*)")

_SYNONYMS = {"shell": "bash", "js": "javascript", "ts": "typescript", "py": "python", "golang": "go"}


def structural(
    texts: Iterable[tuple[str, str]], pattern: str, language: str, *, limit: int, seconds: float = MOST_SECONDS
) -> Matches:
    """The first ``limit`` places that match ``pattern`` in files of ``language``. :class:`Invalid` for either one unknown.

    Lines of more than LONGEST_LINE characters are taken as empty.
    """
    language = _SYNONYMS.get(language.lower(), language.lower())
    if language not in LANGUAGES:
        raise Invalid(f"{language!r} cannot be searched by structure; these can: {', '.join(LANGUAGES)}")
    _check(pattern, language)
    words = {found for found in _LITERAL.findall(pattern) if found}
    passages: list[Passage] = []
    until = time.monotonic() + seconds
    for path, text in texts:
        reading = reading_of(path, text[:200])
        if reading is None or reading.language != language or not all(name in text for name in words):
            continue
        if time.monotonic() > until:
            return Matches(tuple(passages), f"stopped after {seconds:g} seconds, at {path}: name fewer files")
        lines = text.split("\n")
        for node in SgRoot(readable(text), language).root().find_all(pattern=pattern):
            if len(passages) == limit:
                return Matches(tuple(passages), f"there are more than {limit}: narrow the pattern or the path")
            passages.append(_passage(path, lines, node, language))
    return Matches(tuple(passages))


def _check(pattern: str, language: str) -> None:
    try:
        SgRoot("", language).root().find_all(pattern=pattern)
    except RuntimeError as e:
        reason = " ".join(line.strip() for line in str(e).partition("Stack backtrace")[0].splitlines() if line.strip())
        raise Invalid(f"{pattern!r} is no pattern for {language}: {reason}. Write it as code, with $A for a part") from e


def _passage(path: str, lines: list[str], node: SgNode, language: str) -> Passage:
    place: ast_grep_py.Range = node.range()
    first = place.start.line + 1
    piece = whole_lines(lines, (first, min(place.end.line + 1, first + _MOST_LINES - 1)))
    shown = "\n".join(lines[piece[0] - 1 : piece[1]])
    return Passage(source=path, text=shown, locator=Locator(lines=piece), role=role_of(path), language=language)
