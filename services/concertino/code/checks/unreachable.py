"""Statements that nothing reaches: what stands behind a return, and what stands under a condition that is never true."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from msgspec import Struct

_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_WORDS = {ast.Return: "return", ast.Raise: "raise", ast.Continue: "continue", ast.Break: "break"}


class Unreachable(Struct, frozen=True):
    """Lines ``first`` to ``last``, and ``quoted``, the line that shows why."""

    path: str
    first: int
    last: int
    quoted: int
    why: str


def unreachable(path: str, tree: ast.Module) -> Iterator[Unreachable]:
    """Every such run of statements in a file. What makes a function a generator, or a name known to a checker, is none."""
    for node in ast.walk(tree):
        for block in _blocks(node):
            yield from _behind(path, block)
        if isinstance(node, ast.If | ast.While) and _is_never(node.test) and not _only_declares(node.body):
            yield Unreachable(path, node.body[0].lineno, _end(node.body), node.lineno, "its condition is never true")


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block


def _behind(path: str, block: Sequence[ast.stmt]) -> Iterator[Unreachable]:
    for place, statement in enumerate(block[:-1]):
        if isinstance(statement, _ENDS):
            rest = block[place + 1 :]
            if not _is_idiom(rest):
                word = _WORDS[type(statement)]
                yield Unreachable(path, rest[0].lineno, _end(rest), statement.lineno, f"a `{word}` stands before them")
            return


def _is_never(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and not test.value


def _is_idiom(block: Sequence[ast.stmt]) -> bool:
    """Whether it is there for what it says, and not to run: a yield, an import, a name or text for readers and checkers."""
    return all(
        isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass | ast.Assert)
        or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield | ast.YieldFrom | ast.Constant | ast.Name)
        )
        for statement in block
    )


def _only_declares(block: Sequence[ast.stmt]) -> bool:
    """Whether it only tells a type checker what a name stands for."""
    declares = ast.Assign | ast.AnnAssign | ast.FunctionDef | ast.ClassDef
    return all(isinstance(statement, declares) or _is_idiom([statement]) for statement in block)


def _end(block: Sequence[ast.stmt]) -> int:
    return max(statement.end_lineno or statement.lineno for statement in block)
