"""The report on a terminal and as Markdown: everything is there, and nothing twice."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console

from concertino.cli.show.closing import gaps_to_add
from concertino.cli.show.markdown import markdown
from concertino.cli.show.report import THEME, report
from concertino.cli.show.text import one_line, place
from concertino.contracts import messages as m
from concertino.contracts.view import view


def terminal(state: Any, width: int = 80, **options: Any) -> str:
    console = Console(file=StringIO(), width=width, theme=THEME, highlight=False, markup=False, emoji=False, **options)
    for part in report(view(state), 3.2):
        console.print(part)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_terminal(told: Any) -> None:
    state, _ = told()
    shown = terminal(state)
    lines = [line.rstrip() for line in shown.splitlines()]
    assert lines[1] == "Retries"
    assert "They stop after five [2], see [1]." in lines
    assert lines.index("Conflicts") < lines.index("Not found") < lines.index("Evidence")
    assert "  – Who chose five." in lines
    assert "  → five (Code decides.)" in lines
    assert (
        terminal(state, 100).splitlines()[-1].rstrip()
        == "partial (s2 failed) · 3.2 s · 2 calls · 2,034 tokens (800 from cache) · $0.05 · task t1"
    )
    places = [line for line in lines if line.startswith(("   [", "  ["))]
    assert [line.split()[0] for line in places] == ["[1]", "[2]", "[10]"]
    assert "src/retry.py:3-4" in places[1]
    at = lines.index(places[1])
    assert lines[at + 1].strip() == "│ RETRIES = 5"


def test_a_gap_that_the_text_names_is_not_said_twice(told: Any) -> None:
    state, _ = told()
    assert terminal(state).count("They stop after") + terminal(state).count("they stop after") == 1
    assert "- they stop after" not in markdown(view(state), 3.2)


def test_a_gap_that_the_text_names_in_escaped_markdown_is_not_said_twice(told: Any) -> None:
    made = m.Report(text="Five.\n\n- the TLS port \\[1] of \\<b>\n", gaps=("the TLS port [1] of <b>", "who [2]"))
    state, _ = told()
    found = view(state).report
    assert found
    named = gaps_to_add(structs.replace(found, text=made.text, gaps=made.gaps))
    assert named == ("who [2]",)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(told: Any, width: int) -> None:
    state, _ = told()
    assert all(len(line) <= width for line in terminal(state, width).splitlines())


def test_without_colour_nothing_is_lost(told: Any) -> None:
    state, _ = told()
    coloured = Console(file=StringIO(), force_terminal=True, color_system="truecolor", no_color=True, width=80, theme=THEME)
    for part in report(view(state), 3.2):
        coloured.print(part)
    written = coloured.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[3" not in written.replace("\x1b[3m", "")  # no colour; italics are not one


def test_a_long_quote_is_cut_and_says_so(told: Any) -> None:
    citation = m.Citation(
        id="1", source="a.py", locator=m.Locator(lines=(1, 40)), quote="\n".join(f"line {n}" for n in range(40))
    )
    outcome = m.Outcome(status=m.OutcomeStatus.ANSWERED, reason="", report=m.Report(text="x [1]", citations=(citation,)))
    state, _ = told("outcome", {"outcome": outcome})
    shown = terminal(state)
    assert "line 11" in shown
    assert "line 12" not in shown
    assert "… 28 more lines" in shown
    assert "line 39" in markdown(view(state), None)


def test_markdown(told: Any) -> None:
    state, _ = told()
    text = markdown(view(state), 3.2)
    assert text.startswith("# Retries\n\nThey stop after *five* [2], see [1].\n")
    assert "[2] `src/retry.py:3-4`\n\n```\n    RETRIES = 5\n    WAIT = 2\n```" in text
    assert "[10] `a.pdf, page 7`" in text
    assert "- The guide says six.\n  - five [2]\n  - six [1]\n  - **five** Code decides." in text
    assert text.endswith("---\n\n**partial** (s2 failed) · 3.2 s · 2 calls · 2,034 tokens (800 from cache) · $0.05 · task t1\n")


def test_a_fence_is_longer_than_what_it_holds(told: Any) -> None:
    citation = m.Citation(id="1", source="a.md", locator=m.Locator(lines=(1, 3)), quote="```\ncode\n```")
    outcome = m.Outcome(status=m.OutcomeStatus.ANSWERED, reason="", report=m.Report(text="x [1]", citations=(citation,)))
    state, _ = told("outcome", {"outcome": outcome})
    assert "````\n```\ncode\n```\n````" in markdown(view(state), None)


def test_hostile_text_moves_no_cursor(told: Any) -> None:
    evil = "\x1b[2J\x1b]8;;http://evil\x07click\x9b"
    citation = m.Citation(id="1", source=f"a{evil}", locator=m.Locator(fragment=evil), quote=evil)
    made = m.Report(text=evil, citations=(citation,), gaps=(f"gap {evil}",))
    state, _ = told("outcome", {"outcome": m.Outcome(status=m.OutcomeStatus.FAILED, reason=evil, report=made)})
    for shown in (terminal(state), markdown(view(state), 1.0)):
        assert not any(character in shown for character in "\x1b\x07\x9b")


@pytest.mark.parametrize(
    ("locator", "expected"),
    [
        (m.Locator(lines=(3, 3)), "a:3"),
        (m.Locator(lines=(3, 9)), "a:3-9"),
        (m.Locator(page=2), "a, page 2"),
        (m.Locator(fragment="top"), "a#top"),
        (m.Locator(), "a"),
    ],
)
def test_place(locator: m.Locator, expected: str) -> None:
    assert place("a", locator) == expected


@pytest.mark.parametrize("locator", [m.Locator(), m.Locator(lines=(1, 1)), m.Locator(page=2), m.Locator(fragment="x")])
def test_a_place_is_one_line_whatever_a_file_is_called(locator: m.Locator) -> None:
    assert place("notes\n\n**answered**\r.md", locator).startswith("notes��**answered**�.md")


def test_one_line_cuts_at_a_word() -> None:
    assert one_line("one two\n three four", 12) == "one two…"
    assert one_line("x" * 20, 5) == "xxxx…"
