"""The classes of a source tree, and which of them may override something that lies outside of it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection

_UNSEEN = ""
_KNOWN = frozenset({"object", "Generic"})
"""Classes that call no method by a private name. Abstract ones are there for others to derive from, who may."""
_PLAIN_DECORATORS = frozenset({"dataclass", "total_ordering", "final", "define", "frozen", "runtime_checkable"})


class Classes:
    """By name alone: two of one name count as one, with the bases of both.

    ``inside`` are the names of all modules and folders of the source: what is imported from any other is not to be seen.
    """

    def __init__(self, inside: Collection[str]) -> None:
        self._inside = frozenset(inside)
        self._bases: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, tree: ast.Module) -> None:
        """Every class of a file."""
        foreign = self._foreign(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = {_UNSEEN if _first(base) in foreign else _name(base) for base in node.bases}
                decorators = {_name(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list}
                if node.keywords or not decorators <= _PLAIN_DECORATORS:
                    bases.add(_UNSEEN)  # what made the class may look up anything
                self._bases[node.name].update(bases)

    def _foreign(self, tree: ast.Module) -> set[str]:
        """Names that a file has from outside of the source."""
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.update(a.asname or _top(a.name) for a in node.names if _top(a.name) not in self._inside)
            elif isinstance(node, ast.ImportFrom) and not node.level and _top(node.module or "") not in self._inside:
                found.update(alias.asname or alias.name for alias in node.names)
        return found - _KNOWN

    def open(self) -> frozenset[str]:
        """Those with an ancestor that is not to be seen: their methods may be called from there."""
        derived: defaultdict[str, list[str]] = defaultdict(list)
        for name, bases in self._bases.items():
            for base in bases:
                derived[base].append(name)
        pending = [base for base in derived if base not in self._bases and base not in _KNOWN]
        found: set[str] = set()
        while pending:
            for name in derived[pending.pop()]:
                if name not in found:
                    found.add(name)
                    pending.append(name)
        return frozenset(found)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _first(base: ast.expr) -> str:
    """The name that an expression begins with: ``aio`` of ``aio.client.Client[T]``."""
    while isinstance(base, ast.Attribute | ast.Subscript):
        base = base.value
    return base.id if isinstance(base, ast.Name) else ""


def _name(base: ast.expr) -> str:
    match base:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
    return ""
