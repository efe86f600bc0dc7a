"""Text of others inside Markdown of ours: it stays what it is, and changes nothing around it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from concertino.contracts.messages import Locator

LINE = 300
"""Characters of one line that a block shows, and """
LINES = 24
"""lines of it: who wants more opens the place. Citations hold everything."""

_SUFFIXES = {
    "python": "py pyi",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts mts cts tsx",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp",
    "rust": "rs",
    "ruby": "rb",
    "csharp": "cs",
    "kotlin": "kt kts",
    "bash": "sh bash",
    "yaml": "yml yaml",
    "html": "html htm",
    "markdown": "md markdown",
    **{suffix: suffix for suffix in ("go", "java", "php", "swift", "sql", "toml", "json", "ini", "css", "xml", "diff", "rst")},
}
_TAGS = {f".{suffix}": tag for tag, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_CODE = re.compile(r"(?<![`\\])(`+)(?!`).*?(?<!`)\1(?!`)")
_MARK = re.compile(r"\[(?=\d{1,6}\])")
_OPENS_A_BLOCK = re.compile(r"^(?=(?:[#>+*-]|\d{1,9}[.)])(?:\s|$)|~~~|```)")


def inline(text: str) -> str:
    """``text`` as one line that opens no block, cites nothing, and leaves no code span open."""
    line = " ".join(text.split())
    parts, at = [], 0
    for code in _CODE.finditer(line):
        parts += [_plain(line[at : code.start()]), code[0]]
        at = code.end()
    parts.append(_plain(line[at:]))
    return _OPENS_A_BLOCK.sub(r"\\", "".join(parts))


def _plain(text: str) -> str:
    """Outside of code: a backtick that closes nothing, a tag, and what looks like a citation of ours, are only characters."""
    return _MARK.sub(r"\\[", re.sub(r"(?<!\\)(`|<(?=[A-Za-z/!?]))", r"\\\1", text))


def code(text: str) -> str:
    """``text`` as a code span, whatever it holds: a file name may have a line break in it."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    ticks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def language(source: str) -> str:
    """What highlighters call the language of ``source``, by its suffix; empty where that says nothing."""
    return _TAGS.get(PurePosixPath(source).suffix.lower(), "")


def place(source: str, locator: Locator) -> str:
    """Where something stands: ``path:line``, as terminals and editors open it, or the path and what there is besides."""
    if locator.lines:
        return code(f"{source}:{locator.lines[0]}")
    if locator.page is not None:
        return f"{code(source)}, page {locator.page}"
    return f"{code(source)}, {inline(locator.fragment)}" if locator.fragment else code(source)


def block(source: str, text: str) -> list[str]:
    """Lines of a fenced block with ``text`` as it stands, tagged with the language that the suffix of ``source`` names."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    lines = text.split("\n")
    shown = [line if len(line) <= LINE else f"{line[:LINE]} …" for line in lines[:LINES]]
    more = [f"… {len(lines) - LINES} more lines"] if len(lines) > LINES else []
    return [f"{fence}{language(source)}", *shown, *more, fence]
