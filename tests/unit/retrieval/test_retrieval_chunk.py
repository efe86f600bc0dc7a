"""Passages are literal lines under the path of their headings."""

from hypothesis import given
from hypothesis import strategies as st

from concertino.contracts.messages import Passage
from concertino.retrieval.chunk import HUGE_LINES, MOST_LINES, passages

MARKDOWN = """---
title: front matter
---
# Guide

Welcome.

## Retries ##

We try again.

```python
# not a heading
retry()
```

## The `Limits` [class](x.md)

Setext
------
Under it.

<!--
# nor is this
-->
"""

RST = """
=====
Guide
=====

Welcome.

Retries
=======

.. function:: retry(times)

   Tries again.

.. setting:: max_tries

   How often.

Not a title: too short below
--

Last
----

Old ``thing`` and :class:`New <x.New>`
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~

End.
"""


def titles(found: list[Passage]) -> list[str]:
    return [p.title for p in found]


def check_literal(text: str, found: list[Passage]) -> None:
    lines = text.split("\n")
    told: set[int] = set()
    for passage in found:
        assert passage.locator.lines
        first, last = passage.locator.lines
        assert passage.text == "\n".join(lines[first - 1 : last])
        assert not told.intersection(range(first, last + 1))
        told.update(range(first, last + 1))
    assert all(i + 1 in told for i, line in enumerate(lines) if line.strip())


def test_markdown() -> None:
    found = passages("a/guide.md", MARKDOWN)
    assert titles(found) == ["", "Guide", "Guide > Retries", "Guide > The Limits class", "Guide > Setext"]
    check_literal(MARKDOWN, found)
    retries = found[2]
    assert retries.text.startswith("## Retries ##")
    assert retries.text.endswith("retry()\n```")
    assert retries.locator.lines == (8, 15)


def test_restructured_text_by_adornment_and_by_object() -> None:
    found = passages("guide.rst", RST)
    assert titles(found) == [
        "Guide",
        "Guide > Retries > retry(times)",
        "Guide > Retries > max_tries",
        "Guide > Retries > Last > Old thing and New",
    ]
    check_literal(RST, found)


def test_asciidoc() -> None:
    text = "= Guide\n\nHello.\n\n== Retries\n\n----\n== not a heading\n----\n"
    assert titles(passages("guide.adoc", text)) == ["Guide", "Guide > Retries"]


def test_plain_text_is_cut_at_paragraphs() -> None:
    text = "\n\n".join("\n".join(f"line {i} of paragraph {p}" for i in range(10)) for p in range(12))
    found = passages("notes.txt", text)
    check_literal(text, found)
    assert len(found) > 2
    assert all(p.text.startswith("line 0 ") and p.text.count("\n") < MOST_LINES for p in found)


def test_code_stays_with_the_paragraph_that_introduces_it() -> None:
    before = "\n".join(["word " * 5] * 30)
    code = "```\n" + "\n".join(f"step({i})" for i in range(30)) + "\n```"
    found = passages("a.md", f"{before}\n\nDo it like this:\n\n{code}\n")
    assert any("Do it like this:" in p.text and "step(29)" in p.text for p in found)


def test_huge_code_is_cut() -> None:
    text = "```\n" + "\n".join(f"step({i})" for i in range(500)) + "\n```"
    found = passages("a.md", text)
    check_literal(text, found)
    assert max(p.text.count("\n") for p in found) < HUGE_LINES


def test_roles_come_from_path_and_headings() -> None:
    assert {p.role for p in passages("CHANGES.md", "# 1.0\n\nFixed.\n")} == {"changelog"}
    text = "# Guide\n\nHi.\n\n## Changelog\n\nFixed.\n\n## Examples\n\nLike so.\n"
    assert [p.role for p in passages("guide.md", text)] == ["text", "changelog", "example"]


def test_nothing_comes_of_nothing() -> None:
    assert passages("a.md", "") == passages("a.rst", "\n\n \n") == []


PIECES = st.sampled_from(
    [
        "",
        "",
        "text",
        "text:",
        "# One",
        "## Two",
        "====",
        "----",
        "~~~~",
        "```",
        "~~~",
        "   indented",
        "- item",
        ".. function:: f",
        "<!--",
        "-->",
    ]
)


@given(st.sampled_from(["a.md", "a.rst", "a.txt", "a.adoc", "README"]), st.lists(PIECES, max_size=60))
def test_every_line_of_any_document_is_in_one_passage(source: str, lines: list[str]) -> None:
    text = "\n".join(lines)
    check_literal(text, passages(source, text))


def test_a_list_of_words_is_data_and_prose_is_not() -> None:
    listed = "\n".join(f"word{chr(97 + i)}: lock mutex lease claim race queue broker buffer" for i in range(20))
    assert {passage.role for passage in passages("words.txt", listed)} == {"data"}
    told = "A worker that holds the lock keeps its lease, and who wants it has to wait for it in the queue. " * 10
    assert {passage.role for passage in passages("told.txt", told)} == {"text"}
