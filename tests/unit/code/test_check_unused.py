"""Dead code: what nobody can miss, and nothing that somebody might."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

import pytest
from code_repositories import Files

from concertino.code.base import Base
from concertino.code.checks.unreachable import unreachable
from concertino.code.checks.unused import check

Make = Callable[[Files], Base]


def names(base: Base) -> list[str]:
    """The names that are called unused."""
    return sorted(name for o in check(base).found for name in re.findall(r"`([\w.]+)`", o.claim.partition(": ")[2]))


def test_private_names_that_stand_nowhere_else(base: Make) -> None:
    code = (
        "_LIMIT = 3\n_used = 4\n\n\ndef _helper():\n    return _used\n\n\nclass _Gone:\n    pass\n\n\n"
        "class Kept:\n    def _method(self):\n        pass\n\n    @staticmethod\n    def _static():\n        pass\n"
    )
    checked = check(base({"src/a.py": code}))
    assert [(o.severity, o.claim) for o in checked.found] == [
        (
            "low",
            "`src/a.py` has 5 private definitions that nothing uses: "
            "`_LIMIT`, `_helper`, `_Gone`, `Kept._method`, `Kept._static`.",
        )
    ]
    assert [p.text for p in checked.found[0].passages] == [
        "_LIMIT = 3",
        "def _helper():",
        "class _Gone:",
        "    def _method(self):",
    ]
    assert [o.severity for o in check(base({"b.py": "_LIMIT = 3\n"})).found] == ["info"]


@pytest.mark.parametrize(
    "code",
    [
        "def public(): pass\nclass Public: pass\nLIMIT = 1\n",
        "def _used(): pass\n_used()\n",
        "@register\ndef _handler(): pass\n",
        "class Mine(SomebodyElses):\n    def _hook(self): pass\n",
        "class Base(SomebodyElses): pass\nclass Mine(Base):\n    def _hook(self): pass\n",
        "from abc import ABC\nclass Open(ABC):\n    def _for_those_who_derive(self): pass\n",
        "from nats.aio.client import Client\nclass Mine(Client):\n    def _hook(self): pass\n",
        "import nats.aio\nclass Mine(nats.aio.Client):\n    def _hook(self): pass\n",
        "class Mine(metaclass=Meta):\n    def _hook(self): pass\n",
        "@visitable\nclass Mine:\n    def _accept(self): pass\n",
        "class Mine:\n    def __dunder__(self): pass\n    def _sunder_(self): pass\n",
        'def visit(kind): return globals()[f"_visit_{kind}"]\ndef _visit_name(): pass\n',
        'def visit(self, kind): return getattr(self, "_visit_" + kind)\ndef _visit_name(): pass\n',
        'def look(self, name): return getattr(self, f"_{name}")\ndef _whatever(): pass\n',
        "_task = start()\n_value = [make() for _ in range(3)]\n",
        '_OTEL_NAME = "OTEL_NAME"\n',
        "def _for_packagers():\n    import json\n    import yaml\n",
        "__all__ = ['_exported']\ndef _exported(): pass\n",
        "_, _x = 1, 2\n_ab = 3\n",
    ],
)
def test_what_somebody_may_use(base: Make, code: str) -> None:
    ours = "class Client: pass\n"  # of the same name as somebody else's
    assert names(base({"src/a.py": code, "src/b.py": ours})) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other.py", "from a import _helper\n"),
        ("tests/test_a.py", "from a import _helper\n"),
        ("docs/use.md", "Call `_helper` yourself.\n"),
        ("fast.pyx", "cdef x = _helper()\n"),
        ("page.html", "{{ _helper() }}\n"),
        ("setup.cfg", "[entry]\nrun = a:_helper\n"),
    ],
)
def test_any_text_may_use_it(base: Make, name: str, text: str) -> None:
    assert names(base({"src/a.py": "def _helper(): pass\n"})) == ["_helper"]
    assert names(base({"src/a.py": "def _helper(): pass\n", name: text})) == []


def test_defined_twice_and_used_never(base: Make) -> None:
    code = "if x:\n    def _twice(): pass\nelse:\n    def _twice(): pass\n"
    assert names(base({"a.py": code})) == ["_twice"]


def test_tests_and_copies_of_others_are_left_alone(base: Make) -> None:
    dead = "def _dead(): pass\n"
    checked = check(base({"tests/test_a.py": dead, "vendor/b.py": dead, "examples/c.py": dead, "d.py": "x = 1\n"}))
    assert checked.found == ()
    assert "copies of other projects are not searched for dead code" in checked.left_out


def test_what_cannot_be_seen_is_not_judged(base: Make) -> None:
    huge = base({"a.py": "def _dead():\n    return 1\n    print(2)\n", "huge.py": "x = 1\n" * 400_000})
    checked = check(huge)
    assert ["behind" in o.claim or "reaches" in o.claim for o in checked.found] == [True]  # that needs its own file alone
    assert "some files could not be read: names were not searched for dead code" in checked.left_out
    assert check(base({"a.go": "package a\n"})).left_out == (
        "there is no Python, the one language that is searched for dead code",
    )
    assert check(base({"a.py": "def broken(:\n"})).found == ()
    late = check(base({"a.py": "def _dead(): pass\n"}), seconds=-1)
    assert late.found == ()
    assert "too large to be searched" in late.left_out[0]


def test_as_many_findings_as_a_reader_bears(base: Make) -> None:
    checked = check(base({f"m{n}.py": f"def _dead_{n}(): pass\n" for n in range(50)}))
    assert len(checked.found) == 40
    assert any(reason.startswith("10 more findings of no higher severity") for reason in checked.left_out)


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("def f():\n    return 1\n    print(2)\n    print(3)\n", (3, 4)),
        ("def f():\n    raise E\n    g()\n", (3, 3)),
        ("for x in y:\n    continue\n    g()\n", (3, 3)),
        ("while x:\n    if a:\n        break\n        g()\n", (4, 4)),
        ("try:\n    a()\nexcept E:\n    raise\n    g()\n", (5, 5)),
        ("if False:\n    g()\n", (2, 2)),
        ("while 0:\n    g()\n", (2, 2)),
    ],
)
def test_what_nothing_reaches(code: str, lines: tuple[int, int]) -> None:
    assert [(u.first, u.last) for u in unreachable("a.py", ast.parse(code))] == [lines]


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    return\n    yield\n",
        "def f():\n    raise NotImplementedError\n    yield 1\n",
        "if False:\n    import typing\n",
        "if False:\n    Name = int\n",
        "def f():\n    if x:\n        return 1\n    return 2\n",
        "while True:\n    g()\n",
        "def f():\n    raise E\n    'why'\n",
        "try:\n    return_()\nfinally:\n    g()\n",
    ],
)
def test_idioms_are_no_dead_code(code: str) -> None:
    assert list(unreachable("a.py", ast.parse(code))) == []


def test_warnings_of_what_is_parsed_are_not_ours(base: Make) -> None:
    assert check(base({"a.py": 'x = "\\d"\nassert (x, 1)\n'})).found == ()


def test_hostile_depth(base: Make) -> None:
    deep = {"neg.py": "-" * 100_000 + "1", "attr.py": "a" + ".b" * 100_000, "nul.py": "x = 1\n\f\n", "open.py": "(" * 100_000}
    assert check(base(deep)).found == ()
