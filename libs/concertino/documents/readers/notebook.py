"""Jupyter notebooks: a cell is a passage, with what it printed."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Locator, Passage
from concertino.documents.readers.sections import SEPARATOR
from concertino.retrieval.headings import headings
from concertino.retrieval.roles import role_of

MOST_OUTPUT_LINES = 12

_Text = str | list[str]


class _Cell(Struct):
    cell_type: str = ""
    source: _Text = ""
    input: _Text = ""
    """Where format 3 keeps the source of a code cell."""
    outputs: list[dict[str, Any]] = []


class _Sheet(Struct):
    cells: list[_Cell] = []


class _Notebook(Struct):
    cells: list[_Cell] = []
    worksheets: list[_Sheet] = []
    """Format 3."""
    metadata: dict[str, Any] = {}


def read(source: str, data: bytes) -> list[Passage]:
    """Every cell that is not blank; locator ``cell-N``, counted from 1. Outputs are cut to their first lines.

    :class:`SourceError` where ``data`` is no notebook.
    """
    try:
        notebook = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"), type=_Notebook)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise SourceError(f"it is no Jupyter notebook ({e}): open it in Jupyter and save it anew") from e
    cells = notebook.cells or [cell for sheet in notebook.worksheets for cell in sheet.cells]
    language = _language(notebook.metadata)
    role = role_of(source)
    made: list[Passage] = []
    path: list[tuple[int, str]] = []
    for number, cell in enumerate(cells, 1):
        code = cell.cell_type == "code"
        text = _joined(cell.source) or _joined(cell.input)
        if not code:
            for heading in headings("cell.md", text.split("\n")):
                path = [(level, title) for level, title in path if level < heading.level]
                path.append((heading.level, heading.title))
        text = "\n\n".join(part for part in (text.strip("\n"), _outputs(cell.outputs)) if part.strip())
        if text:
            made.append(
                Passage(
                    source=source,
                    text=text,
                    locator=Locator(fragment=f"cell-{number}"),
                    title=SEPARATOR.join(title for _, title in path),
                    role=role,
                    language=language if code else "",
                )
            )
    return made


def _joined(text: _Text) -> str:
    return (text if isinstance(text, str) else "".join(text)).replace("\r\n", "\n")


def _language(metadata: dict[str, Any]) -> str:
    for key, field in (("language_info", "name"), ("kernelspec", "language")):
        match metadata.get(key):
            case {**info} if isinstance(info.get(field), str):
                return str(info[field]).lower()
    return ""


def _outputs(outputs: list[dict[str, Any]]) -> str:
    """What the cell printed and returned, as text: pictures and HTML are left out."""
    lines = "".join(_output(output) for output in outputs).strip("\n").split("\n")
    more = len(lines) - MOST_OUTPUT_LINES
    return "\n".join([*lines[:MOST_OUTPUT_LINES], *([f"... {more} more lines"] if more > 0 else [])])


def _output(output: dict[str, Any]) -> str:
    match output:
        case {"text": str() | list() as text}:
            pass
        case {"data": {"text/plain": str() | list() as text}}:
            pass
        case {"ename": str(name), "evalue": str(value)}:
            text = f"{name}: {value}"
        case _:
            return ""
    joined = text if isinstance(text, str) else "".join(str(part) for part in text)
    return joined if joined.endswith("\n") else f"{joined}\n"
