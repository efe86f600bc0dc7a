from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from concertino.code.passages import MOST_LINES, passages
from concertino.code.pieces import LONGEST_LINE, MOST_CHARACTERS
from concertino.retrieval.tree import Tree

PYTHON = '''\
"""What the module is for."""

import os

MAX_RETRIES = 3


# Waits.
@decorated
# Twice as long each time.
def backoff(n):
    return 2 ** n


class Retry:
    """Tries again."""

    limit = 3

    def sleep(self):
        def inner():
            return 1
        return inner()

    # Not for the faint-hearted.
    @property
    def left(self): return 0  # remark

    after = 4

async def go(): pass
'''

JAVASCRIPT = """\
'use strict'
const fs = require('fs')
const LIMIT = 3

/**
 * Goes.
 */
export const go = async (x) => {
  return x
}
// About f.
function f() { return 1 }
Retry.prototype.sleep = function () {
  return 1
}
class Retry extends Base { // remark
  #n = 1
  /** How many. */
  get left() { return 2 }

  static make = () => {
    return new Retry()
  }
}
module.exports = { f }
"""

TSX = """\
import React from 'react'

/** What it takes. */
export interface Props {
  name: string
}

export type Name = string

@Component({})
export abstract class View<T> {
  /** Draws. */
  abstract draw(): void
  @Input()
  size(): number { return 1 }
}

export function Hello({ name }: Props) {
  return <b>{name}</b>
}

namespace Inner {
  export function deep() {}
}
"""

GO = """\
// Package retry tries again.
package retry

import "time"

// Limits.
const (
	Max = 3
	Min = 1
)

// Retry holds.
type Retry struct {
	n int
}

// Sleep waits.
func (r *Retry[T]) Sleep() error {
	return nil
}

func Do() {}
"""

JAVA = """\
package a;

/** Tries again. */
@Named
public class Retry {
    private int limit = 3;

    /** Makes one. */
    public Retry() {}

    @Override
    public void sleep() {
    }

    enum Kind { A, B }
}
"""

RUST = """\
//! Tries again.
use std::time;

/// Holds.
#[derive(Debug)]
pub struct Retry { n: i32 }

impl<T> Sleep for Retry {
    /// Waits.
    fn sleep(&self) {}
}

mod inner {
    pub fn deep() {}
}

const MAX: i32 = 3;
"""


def shape(path: str, text: str) -> list[tuple[str, tuple[int, int], str]]:
    return [(p.title, p.locator.lines or (0, 0), p.role) for p in passages(path, text)]


def test_python() -> None:
    assert shape("retry.py", PYTHON) == [
        ("MAX_RETRIES", (1, 5), "definition"),
        ("backoff", (8, 12), "definition"),
        ("Retry", (15, 18), "definition"),
        ("Retry.sleep", (20, 23), "definition"),
        ("Retry.left", (25, 27), "definition"),
        ("Retry", (29, 29), "definition"),
        ("go", (31, 31), "definition"),
    ]


def test_javascript() -> None:
    assert shape("retry.js", JAVASCRIPT) == [
        ("LIMIT", (1, 3), "definition"),
        ("go", (5, 10), "definition"),
        ("f", (11, 12), "definition"),
        ("Retry.sleep", (13, 15), "definition"),
        ("Retry", (16, 17), "definition"),
        ("Retry.left", (18, 19), "definition"),
        ("Retry.make", (21, 23), "definition"),
        ("", (25, 25), "text"),
    ]


def test_typescript_with_jsx() -> None:
    assert shape("view.tsx", TSX) == [
        ("", (1, 1), "text"),
        ("Props", (3, 6), "definition"),
        ("Name", (8, 8), "definition"),
        ("View", (10, 11), "definition"),
        ("View.draw", (12, 13), "definition"),
        ("View.size", (14, 15), "definition"),
        ("Hello", (18, 20), "definition"),
        ("Inner", (22, 22), "definition"),
        ("Inner.deep", (23, 23), "definition"),
    ]


def test_go() -> None:
    assert shape("retry.go", GO) == [
        ("Max, Min", (1, 10), "definition"),
        ("Retry", (12, 15), "definition"),
        ("Retry.Sleep", (17, 20), "definition"),
        ("Do", (22, 22), "definition"),
    ]


def test_java() -> None:
    assert shape("Retry.java", JAVA) == [
        ("", (1, 1), "text"),
        ("Retry", (3, 6), "definition"),
        ("Retry.Retry", (8, 9), "definition"),
        ("Retry.sleep", (11, 13), "definition"),
        ("Retry.Kind", (15, 15), "definition"),
    ]


def test_rust() -> None:
    assert shape("retry.rs", RUST) == [
        ("", (1, 2), "text"),
        ("Retry", (4, 6), "definition"),
        ("Retry", (8, 8), "definition"),
        ("Retry.sleep", (9, 10), "definition"),
        ("inner", (13, 13), "definition"),
        ("inner.deep", (14, 14), "definition"),
        ("MAX", (17, 17), "definition"),
    ]


def test_tests_and_generated_code_keep_their_role() -> None:
    assert {p.role for p in passages("tests/test_retry.py", PYTHON)} == {"test"}
    assert {p.role for p in passages("retry_pb2.py", PYTHON)} == {"generated"}


def test_a_syntax_error_costs_only_its_surroundings() -> None:
    broken = PYTHON.replace("MAX_RETRIES = 3", "MAX_RETRIES = = (3")
    found = passages("retry.py", broken)
    assert {"Retry.sleep", "Retry.left", "go"} <= {p.title for p in found}
    assert any("def backoff(n):" in p.text for p in found)


def test_a_huge_function_is_cut_between_statements() -> None:
    body = "".join(f"    if x == {i}:\n        a = {i}\n        b = a\n" for i in range(100))
    pieces = passages("a.py", f"def huge(x):\n{body}")
    assert len(pieces) == 4
    assert {p.title for p in pieces} == {"huge"}
    assert all(p.text.startswith(("def huge", "    if x")) for p in pieces)
    assert all(p.text.count("\n") < MOST_LINES for p in pieces)


def test_what_is_nested_in_a_huge_function_is_found_under_its_name() -> None:
    inner = "".join(f"    def inner{i}():\n        a = 1\n        return a\n" for i in range(40))
    titles = [p.title for p in passages("a.py", f"def outer():\n    start = 1\n{inner}")]
    assert titles == ["outer", *(f"outer.inner{i}" for i in range(40))]


def test_lines_no_person_wrote_are_in_no_passage() -> None:
    long = "x = '" + "a" * LONGEST_LINE + "'"
    found = passages("a.py", f"a = 1\n{long}\nb = 2\n")
    assert [(p.text, p.locator.lines) for p in found] == [("a = 1", (1, 1)), ("b = 2", (3, 3))]


@pytest.mark.parametrize("path", ["a.js", "a.py", "a.json", "a.c", "a.md"])
def test_a_line_of_a_megabyte_is_read_quickly(path: str) -> None:
    found = passages(path, "f(1);" * 200_000)
    assert found == [] or path.endswith(".md")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", "x = " + "(" * 50_000 + "1" + ")" * 50_000),
        ("a.py", "".join(f"{' ' * i}def f{i}():\n" for i in range(2_000)) + " " * 2_000 + "pass\n"),
        ("a.js", "function f(){\n" * 3_000 + "}\n" * 3_000),
        ("a.go", "package a\nvar x = " + "[]\n" * 3_000 + "{" * 20_000),
        ("a.rs", "mod a {\n" * 3_000 + "}\n" * 3_000),
        ("a.ts", "class A { b() {\n" * 2_000),
        ("a.yaml", "".join(f"{' ' * i}a:\n" for i in range(3_000))),
    ],
)
def test_deep_nesting_is_no_deep_recursion(path: str, text: str) -> None:
    literal_and_apart(path, text)


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("pyproject.toml", "toml"),
        ("Dockerfile", "dockerfile"),
        ("Dockerfile.dev", "dockerfile"),
        ("Makefile", "make"),
        ("main.cpp", "cpp"),
        ("app.rb", "ruby"),
        (".gitignore", "ini"),
    ],
)
def test_other_languages_are_read_by_blocks(path: str, language: str) -> None:
    text = "".join(f"first {i}\nsecond {i}\n\n" for i in range(60))
    found = passages(path, text)
    assert {p.language for p in found} == {language}
    assert len(found) > 3
    assert all(p.text.startswith("first") for p in found)


def test_a_section_of_a_configuration_file_is_its_title() -> None:
    text = "[project]\n" + "name = 1\n" * 39 + "[tool.x]\n" + "size = 2\n" * 20
    assert [p.title for p in passages("a.toml", text)] == ["project", "tool.x"]


def test_a_script_is_known_by_its_first_line() -> None:
    assert [p.title for p in passages("bin/run", "#!/usr/bin/env python3\ndef main():\n    pass\n")][-1] == "main"
    assert passages("bin/run", "who knows\n") == []
    assert passages("picture.xcf", "text after all\n") == []


def test_prose_is_read_by_headings() -> None:
    assert [p.title for p in passages("README.md", "# Guide\n\nText.\n")] == ["Guide"]


@pytest.mark.parametrize("package", ["click", "_pytest", "tree_sitter", "nats", "trafilatura"])
def test_real_code_is_literal_and_in_order(package: str) -> None:
    tree = Tree(Path(sysconfig.get_path("purelib")) / package)
    for file in tree.files():
        if text := tree.text(file.path):
            literal_and_apart(file.path, text)


def literal_and_apart(path: str, text: str) -> None:
    lines = text.split("\n")
    last = 0
    for passage in passages(path, text):
        assert passage.locator.lines
        first = passage.locator.lines[0]
        assert first > last
        last = passage.locator.lines[1]
        assert passage.text == "\n".join(lines[first - 1 : last])
        if passage.language:
            assert len(passage.text) <= MOST_CHARACTERS + LONGEST_LINE
