"""Dead code in Python that nobody can miss: private names that stand nowhere else, and statements that nothing reaches.

Public names are somebody's interface, and are left alone. A name counts as used wherever it stands as a word, in code,
comments, templates, documents or machine code; and where names are put together at run time, those that could be meant count
as used too.
"""

from __future__ import annotations

import ast
import re
import threading
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from concertino.code.base import Base
from concertino.code.checks.classes import Classes
from concertino.code.checks.shape import MOST_QUOTED, bounded, listed, part_of, passage, python, several
from concertino.code.checks.unreachable import Unreachable, unreachable
from concertino.code.installed import Distribution
from concertino.model.observation import Checked, Observation

TOPIC = "dead code"

MOST_SECONDS = 60.0
_MOST_BYTES = 1_000_000
"""Of a file that is parsed: a larger one is data."""
_PRIVATE = re.compile(r"(?<!\w)_[A-Za-z]\w*|(?<!\w)__[A-Za-z]\w*")
_BUILT = re.compile(r"[\"'](_[A-Za-z]\w*_)(?=[\"'{%])")
"""The beginning of a name that is put together: ``f"_visit_{kind}"``, ``"_visit_" + kind``."""
_ANY_BUILT = re.compile(r"[\"']_(?=[{%])|[\"']_[\"']\s*\+|[\"']_[\"']\s*[,)]?\s*\.join")
_LOOKS_UP = re.compile(r"\b(?:getattr|globals|vars|locals|__dict__|attrgetter|methodcaller)\b")
_HARMLESS = frozenset({"staticmethod", "classmethod", "property", "cache", "lru_cache", "cached_property", "final", "override"})
_PLAIN = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.JoinedStr, ast.UnaryOp, ast.BinOp)
_filters = threading.Lock()
"""The filters of warnings are global to the process."""

Def = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Private(Struct, frozen=True):
    """A private definition. ``around``: the class that it is a member of."""

    path: str
    line: int
    name: str
    what: str
    around: str = ""


def check(base: Base, *, seconds: float = MOST_SECONDS) -> Checked:
    """Every Python file of the project's own, against every text of the source."""
    until = time.monotonic() + seconds
    found: list[Private] = []
    dead: list[Unreachable] = []
    classes = Classes({name.partition(".")[0] for path in base.files for name in path.split("/")})
    left_out: dict[str, None] = {}
    parsed = 0
    for path, text in python(base):
        part = part_of(path)
        if part == "vendored":
            left_out["copies of other projects are not searched for dead code"] = None
            continue
        if time.monotonic() > until:
            # Without all of the source, what is used further on would look unused.
            return Checked(TOPIC, (), "", (f"the source is too large to be searched for dead code in {seconds:g} seconds",))
        tree = _parsed(text)
        if tree is None:
            left_out["some files of Python are too large, or in a syntax that this Python does not know"] = None
            continue
        classes.add(tree)
        if part == "own":
            parsed += 1
            dead.extend(unreachable(path, tree))
            if not (_ANY_BUILT.search(text) and _LOOKS_UP.search(text)):
                found.extend(_definitions(path, tree))
    looked_at = f"{several(parsed, 'file')} of Python"
    if not parsed:
        return Checked(TOPIC, (), "", ("there is no Python, the one language that is searched for dead code",))
    if any(skipped.endswith((".py", ".pyi", ".pyx")) for skipped, _ in base.tree.skipped):
        # What is used there alone would look unused.
        left_out["some files could not be read: names were not searched for dead code"] = None
        found = []
    unused = _unused(base, found, classes)
    left_out["public names were not judged: they may be somebody's interface"] = None
    observations = [*_of_files(base, unused), *_of_unreachable(base, dead)]
    kept, more = bounded(observations)
    return Checked(TOPIC, kept, looked_at, (*left_out, *more))


def _parsed(text: str) -> ast.Module | None:
    if len(text) > _MOST_BYTES:
        return None
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _definitions(path: str, tree: ast.Module) -> Iterator[Private]:
    """Private functions, classes, methods and plain constants, as deep as classes and conditions of a module go."""
    pending: list[tuple[ast.stmt, str]] = [(statement, "") for statement in tree.body]
    while pending:
        node, around = pending.pop()
        if isinstance(node, Def):
            if isinstance(node, ast.ClassDef):
                pending.extend((statement, node.name) for statement in node.body)
            if _is_private(node.name) and _is_plain(node) and not _only_imports(node):
                kind = "class" if isinstance(node, ast.ClassDef) else "method" if around else "function"
                yield Private(path, node.lineno, node.name, kind, around)
        elif isinstance(node, ast.If | ast.Try | ast.With):
            pending.extend((child, around) for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))
        elif not around and (name := _constant(node)):
            yield Private(path, node.lineno, name, "constant")


def _constant(node: ast.stmt) -> str:
    """The private name that a plain value is bound to. What calls something may be wanted for what the call does."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            pass
        case _:
            return ""
    plain = isinstance(value, _PLAIN) and not any(isinstance(part, ast.Call | ast.Await) for part in ast.walk(value))
    published = isinstance(value, ast.Constant) and value.value == name.lstrip("_")
    return name if plain and not published and _is_private(name) else ""


def _only_imports(node: Def) -> bool:
    """Whether it is there to be seen by tools that look for imports."""
    return all(isinstance(s, ast.Import | ast.ImportFrom | ast.Expr | ast.Pass) for s in node.body) and any(
        isinstance(s, ast.Import | ast.ImportFrom) for s in node.body
    )


def _is_private(name: str) -> bool:
    return name.startswith("_") and len(name) > 3 and not name.endswith("_")


def _is_plain(node: Def) -> bool:
    """Whether no decorator may have handed it to somebody else."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        if name not in _HARMLESS:
            return False
    return not (isinstance(node, ast.ClassDef) and node.keywords)


def _unused(base: Base, found: Sequence[Private], classes: Classes) -> list[Private]:
    wanted = {private.name for private in found}
    words: Counter[str] = Counter()
    built: set[str] = set()
    for _, text in base.texts():
        words.update(word for word in _PRIVATE.findall(text) if word in wanted)
        built.update(_BUILT.findall(text))
    defined = Counter(private.name for private in found)
    prefixes = tuple(built)
    overriding = classes.open()
    candidates = [
        private
        for private in found
        if words[private.name] <= defined[private.name]
        and not private.name.startswith(prefixes)
        and private.around not in overriding
    ]
    if isinstance(base.tree, Distribution):
        compiled = base.tree.mentions({private.name for private in candidates})
        candidates = [private for private in candidates if private.name not in compiled]
    return candidates


def _of_files(base: Base, unused: Sequence[Private]) -> Iterator[Observation]:
    by_file: Mapping[str, list[Private]] = defaultdict(list)
    for private in sorted(unused, key=lambda p: (p.path, p.line)):
        by_file[private.path].append(private)
    for path, found in by_file.items():
        lines = base.text(path).split("\n")
        names = [f"{p.around}.{p.name}" if p.around else p.name for p in found]
        kinds = {p.what for p in found}
        what = kinds.pop() if len(kinds) == 1 else "definition"
        plural = {"class": "classes"}.get(what, f"{what}s")
        said = f"a private {what} that nothing uses" if len(found) == 1 else f"{len(found)} private {plural} that nothing uses"
        yield Observation(
            topic=TOPIC,
            claim=f"`{path}` has {said}: {listed(names)}.",
            severity="info" if all(p.what == "constant" for p in found) else "low",
            confidence=0.85,
            passages=tuple(passage(base, path, lines, p.line) for p in found[:MOST_QUOTED]),
            advice="Delete it, or use it." if len(found) == 1 else "Delete them, or use them.",
        )


def _of_unreachable(base: Base, dead: Sequence[Unreachable]) -> Iterator[Observation]:
    for place in dead:
        lines = base.text(place.path).split("\n")
        yield Observation(
            topic=TOPIC,
            claim=f"`{place.path}` has {several(place.last - place.first + 1, 'line')} that nothing reaches: {place.why}.",
            severity="low",
            confidence=0.9,
            passages=(passage(base, place.path, lines, place.quoted, min(place.first, place.quoted + 5)),),
            advice="Delete them, or mend what stands before: one of the two is a mistake.",
        )
