"""Source text to symbols: what a file defines, under which name, on which lines."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Literal, get_args

import tree_sitter
from msgspec import Struct

from concertino.code.languages import Language

Kind = Literal["class", "impl", "module", "function", "method", "type", "value", "constant"]
HOLDERS = frozenset({"class", "impl", "module"})
_KINDS: frozenset[str] = frozenset(get_args(Kind))


class Symbol(Struct, frozen=True):
    """A definition. ``lines`` are counted from 1 and include the comments and decorators directly above.

    ``parent`` is the index of the definition around it, or -1.
    """

    name: str
    """Qualified by what is around it: ``Retry.sleep``."""
    kind: Kind
    lines: tuple[int, int]
    parent: int = -1


class Syntax:
    """One file, parsed. Syntax errors cost what is around them, and nothing else."""

    def __init__(self, language: Language, text: str) -> None:
        self._language = language
        parser, query = _tools(language)
        tree = parser.parse(text.encode())
        assert tree is not None  # only a parser without a language yields none
        self._root = tree.root_node
        self.symbols = _symbols(language, self._root, query)

    def borders(self, span: int) -> list[int]:
        """Lines at which a statement starts, sorted: of the file, and inside every statement of more than ``span`` lines."""
        found: set[int] = set()
        pending = [self._root]
        while pending:
            node = pending.pop()
            above: tree_sitter.Node | None = None
            for child in node.children:
                starts_line = above is None or child.start_point.row > above.end_point.row
                if starts_line and child.is_named and not self._belongs(child, above):
                    found.add(child.start_point.row + 1)
                if child.end_point.row - child.start_point.row >= span:
                    pending.append(child)
                above = child
        return sorted(found)

    def _belongs(self, node: tree_sitter.Node, above: tree_sitter.Node | None) -> bool:
        """Whether a comment or decorator stands directly above, so that nothing may come between."""
        return above is not None and above.type in self._language.leading and _last_row(above) + 1 >= node.start_point.row


_per_thread = threading.local()


def _tools(language: Language) -> tuple[tree_sitter.Parser, tree_sitter.Query]:
    """Parser and query of this thread: a parser must not be used by two at once."""
    made: dict[str, tuple[tree_sitter.Parser, tree_sitter.Query]] = _per_thread.__dict__.setdefault("made", {})
    if language.name not in made:
        grammar = tree_sitter.Language(language.grammar())
        made[language.name] = tree_sitter.Parser(grammar), tree_sitter.Query(grammar, language.query)
    return made[language.name]


class _Match(Struct, frozen=True):
    name: str
    kind: Kind
    name_at: int
    start: int
    end: int
    lines: tuple[int, int]


def _symbols(language: Language, root: tree_sitter.Node, query: tree_sitter.Query) -> list[Symbol]:
    symbols: list[Symbol] = []
    around: list[tuple[int, int]] = []
    for match in _outermost_first(_matches(language, root, query)):
        while around and around[-1][0] <= match.start:
            around.pop()
        parent = around[-1][1] if around else -1
        name = f"{symbols[parent].name}.{match.name}" if parent >= 0 else match.name
        if match.kind != "constant":
            around.append((match.end, len(symbols)))
        symbols.append(Symbol(name, match.kind, match.lines, parent))
    return symbols


def _matches(language: Language, root: tree_sitter.Node, query: tree_sitter.Query) -> Iterator[_Match]:
    for _, captures in tree_sitter.QueryCursor(query).matches(root):
        kind = next(k for k in captures if k in _KINDS)
        named = captures["name"][0]
        node = captures[kind][0]
        while node.parent is not None and node.parent.type in language.wrappers:
            node = node.parent
        name = _plain(_text(named))
        if owner := captures.get("owner"):
            name = f"{_text(owner[0])}.{name}"
        lines = _first_row(language, node) + 1, max(_last_row(node), node.start_point.row) + 1
        yield _Match(name, kind, named.start_byte, node.start_byte, node.end_byte, lines)  # type: ignore[arg-type]


def _outermost_first(matches: Iterator[_Match]) -> list[_Match]:
    """In the order of the text; a name matched twice is taken as what says more than "constant"."""
    best: dict[int, _Match] = {}
    for match in matches:
        if match.name_at not in best or best[match.name_at].kind == "constant":
            best[match.name_at] = match
    return sorted(best.values(), key=lambda m: (m.start, -m.end, m.name_at))


def _first_row(language: Language, node: tree_sitter.Node) -> int:
    """The row on which it starts, with the comments and decorators that stand directly above."""
    while (around := node.parent) is not None and around.parent is not None and _starts_with(language, around, node):
        node = around
    row = node.start_point.row
    above = node.prev_sibling
    while above is not None and above.type in language.leading and _last_row(above) + 1 >= row:
        before = above.prev_sibling
        if before is not None and before.end_point.row == above.start_point.row and _last_row(before) == above.start_point.row:
            break  # a remark at the end of a line belongs to that line
        row = above.start_point.row
        above = before
    return row


def _starts_with(language: Language, around: tree_sitter.Node, node: tree_sitter.Node) -> bool:
    if around.type in language.carriers:
        return around.start_point.row == node.start_point.row
    return around.start_byte == node.start_byte


def _last_row(node: tree_sitter.Node) -> int:
    """The last row with anything of the node on it: some nodes include their line end."""
    return node.end_point.row - (1 if node.end_point.column == 0 and node.end_point.row > node.start_point.row else 0)


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


_NOISE = re.compile(r"^(module\.)?exports\.|^(this|self|window|globalThis)\.|\bprototype\.|[\s'\"`]")


def _plain(name: str) -> str:
    """``Foo.prototype.bar`` is ``Foo.bar``; ``module.exports.bar`` is ``bar``."""
    return _NOISE.sub("", name)[:200]
