"""What has no tests: none at all, or modules of which no test speaks."""

from __future__ import annotations

from collections.abc import Callable

from code_repositories import Files

from concertino.code.base import Base
from concertino.code.checks import untested

Make = Callable[[Files], Base]
BODY = "\n".join(f"    x{n} = {n}" for n in range(30))


def module(name: str) -> str:
    return f'"""A module."""\n\n\ndef {name}():\n{BODY}\n'


def test_no_tests_at_all(base: Make) -> None:
    many = {f"src/m{n}.py": module(f"function_{n}") for n in range(8)} | {"src/large.py": module("big") + BODY}
    found = untested.check(base(many | {"src/tiny.py": "x = 1\n", "src/types.pyi": module("typed")})).found
    assert [(o.severity, o.advice) for o in found] == [("medium", "Begin with `src/large.py`, the largest.")]
    assert found[0].claim.startswith("No test is here for 9 modules of ")
    assert (found[0].passages[0].source, found[0].passages[0].text) == ("src/large.py", "def big():")


def test_a_module_is_tested_where_a_test_speaks_of_it(base: Make) -> None:
    checked = untested.check(
        base(
            {
                "src/by_name.py": module("whatever"),
                "src/by_symbol.py": module("does_the_work"),
                "src/package/__init__.py": module("made_up"),
                "src/forgotten.py": module("nobody_calls"),
                "vendor/copied.py": module("copied"),
                "examples/shown.py": module("shown"),
                "tests/test_it.py": "import by_name\nimport package\n\n\ndef test():\n    assert does_the_work()\n",
            }
        )
    )
    assert [(o.severity, o.claim) for o in checked.found] == [
        ("low", "No test that is here speaks of 1 of 4 modules: `src/forgotten.py`.")
    ]
    assert checked.looked_at == "4 modules, 1 file of tests"
    assert checked.left_out == ("no test was run",)


def test_rust_keeps_its_tests_beside_the_code(base: Make) -> None:
    code = f"pub fn work() {{\n{BODY}\n}}\n\n#[cfg(test)]\nmod tests {{\n    #[test]\n    fn works() {{}}\n}}\n"
    assert untested.check(base({"src/work.rs": code})).found == ()


def test_nothing_to_test(base: Make) -> None:
    checked = untested.check(base({"README.md": "# A\n"}))
    assert (checked.found, checked.left_out) == ((), ("there is no module of code to test",))
