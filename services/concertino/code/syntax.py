"""Source text to symbols: what a file defines, under which name, on which lines.

Everything is asked of tree-sitter in one query, and put together from byte offsets and rows: asking nodes for their parents
and siblings takes time that grows with the size of the file, which makes hostile or broken files quadratic.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

import tree_sitter
from msgspec import Struct

from concertino.code.languages import Language
from concertino.code.names import plain, qualified

Kind = Literal["class", "impl", "module", "function", "method", "type", "value", "constant"]
HOLDERS = frozenset({"class", "impl", "module"})
_KINDS: Mapping[str, Kind] = {kind: kind for kind in get_args(Kind)}
_MOST_DEPTH = 200
"""Of nodes: what is nested deeper was not written by a person."""


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
        parser, query = _tools(language)
        tree = parser.parse(text.encode())
        assert tree is not None  # only a parser without a language yields none
        self._root = tree.root_node
        captured = _Captured(self._root, query, text.split("\n"))
        self._leading = captured.leading
        self.symbols = _symbols(captured.matches)

    def borders(self, span: int) -> list[int]:
        """Lines at which a statement starts, sorted: of the file, and inside every statement of more than ``span`` lines.

        A line below a comment or decorator is none: it belongs with it.
        """
        found: set[int] = set()
        pending = [self._root]
        while pending:
            above = -1
            for child in pending.pop().children:
                first, last = child.start_point.row, child.end_point.row
                if first > above and child.is_named and first - 1 not in self._leading:
                    found.add(first + 1)
                if last - first >= span:
                    pending.append(child)
                above = last
        return sorted(found)


_per_thread = threading.local()


def _tools(language: Language) -> tuple[tree_sitter.Parser, tree_sitter.Query]:
    """Parser and query of this thread: a parser must not be used by two at once."""
    made: dict[str, tuple[tree_sitter.Parser, tree_sitter.Query]] = _per_thread.__dict__.setdefault("made", {})
    if language.name not in made:
        grammar = tree_sitter.Language(language.grammar())
        made[language.name] = tree_sitter.Parser(grammar), tree_sitter.Query(grammar, language.query)
    return made[language.name]


class _Match(Struct, frozen=True):
    """A definition by itself: names unqualified, byte offsets, lines from 1."""

    name: str
    kind: Kind
    start: int
    end: int
    lines: tuple[int, int]


class _Captured:
    """What the query finds in one file, in the order of the text, outermost first."""

    def __init__(self, root: tree_sitter.Node, query: tree_sitter.Query, lines: Sequence[str]) -> None:
        self.leading: dict[int, int] = {}
        """First row by last row, of comments and the like that have their rows to themselves."""
        around: dict[int, tree_sitter.Node] = {}
        definitions: dict[int, tuple[Kind, tree_sitter.Node, str]] = {}
        cursor = tree_sitter.QueryCursor(query)
        cursor.set_max_start_depth(_MOST_DEPTH)
        for _, captures in cursor.matches(root):
            if "leading" in captures:
                node = captures["leading"][0]
                if not lines[node.start_point.row][: node.start_point.column].strip():
                    self.leading[_last_row(node)] = node.start_point.row
            elif "around" in captures:
                around[captures["wrapped"][0].id] = captures["around"][0]
            else:
                kind = next(_KINDS[name] for name in captures if name in _KINDS)
                named = captures["name"][0]
                if named.start_byte not in definitions or definitions[named.start_byte][0] == "constant":
                    definitions[named.start_byte] = kind, captures[kind][0], _name(named, captures.get("owner"))
        self.matches = sorted(self._placed(definitions.values(), around), key=lambda m: (m.start, -m.end))

    def _placed(
        self, definitions: Iterable[tuple[Kind, tree_sitter.Node, str]], around: Mapping[int, tree_sitter.Node]
    ) -> Iterator[_Match]:
        for kind, bare, name in definitions:
            node = bare
            while node.id in around:
                node = around[node.id]
            first = node.start_point.row
            while first - 1 in self.leading:
                first = self.leading[first - 1]
            yield _Match(name, kind, node.start_byte, node.end_byte, (first + 1, _last_row(node) + 1))


def _symbols(matches: Sequence[_Match]) -> list[Symbol]:
    symbols: list[Symbol] = []
    around: list[tuple[int, int]] = []
    """End and index of the definitions that the current one is inside of."""
    for match in matches:
        while around and around[-1][0] <= match.start:
            around.pop()
        parent = around[-1][1] if around else -1
        if match.kind != "constant":
            around.append((match.end, len(symbols)))
        name = qualified(symbols[parent].name, match.name) if parent >= 0 else match.name
        symbols.append(Symbol(name, match.kind, match.lines, parent))
    return symbols


def _name(named: tree_sitter.Node, owner: Sequence[tree_sitter.Node] | None) -> str:
    name = plain(_text(named))
    return f"{_text(owner[0])}.{name}" if owner else name


def _last_row(node: tree_sitter.Node) -> int:
    """The last row with anything of the node on it: some nodes include their line end."""
    return node.end_point.row - (1 if node.end_point.column == 0 and node.end_point.row > node.start_point.row else 0)


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")
