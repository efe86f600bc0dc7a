from __future__ import annotations

import itertools

import pytest

from concertino.code.grep import compiled, grep, word
from concertino.code.pieces import LONGEST_LINE
from concertino.contracts.errors import Invalid

TEXT = "".join(f"line {i}\n" for i in range(1, 31))


def lines(pattern: str, text: str = TEXT, limit: int = 50, **options: bool) -> list[tuple[int, int]]:
    found = grep([("a.py", text)], compiled(pattern, **options), limit=limit).passages
    return [p.locator.lines for p in found if p.locator.lines]


def test_a_match_is_shown_with_its_surroundings_literally() -> None:
    (found,) = grep([("src/a.py", TEXT)], compiled("^line 10$"), limit=5).passages
    assert (found.source, found.language) == ("src/a.py", "python")
    assert found.locator.lines == (8, 12)
    assert found.text == "line 8\nline 9\nline 10\nline 11\nline 12"


def test_neighbours_share_a_passage_and_no_line_is_shown_twice() -> None:
    assert lines("line (10|13|20|25)$") == [(8, 15), (18, 27)]


def test_many_matches_in_a_row_are_bounded() -> None:
    shown = lines("x", "x\n" * 200)
    assert all(b - a < 64 for a, b in shown)
    assert shown[0][0] == 1
    assert shown[-1][1] >= 200
    assert all(before[1] < after[0] for before, after in itertools.pairwise(shown))


def test_case() -> None:
    assert lines("LINE 3$") == []
    assert lines("LINE 3$", ignore_case=True) == [(1, 5)]


def test_a_match_over_several_lines() -> None:
    assert lines(r"line 5\nline 6") == [(3, 8)]


def test_the_limit_is_told() -> None:
    found = grep([("a.py", TEXT)], compiled("line (1|9|17|25)$"), limit=2)
    assert len(found.passages) == 2
    assert "more than 2" in found.note
    assert grep([("a.py", TEXT)], compiled("line (1|9)$"), limit=2).note == ""


def test_a_catastrophic_pattern_ends_and_says_so() -> None:
    found = grep([("a.py", "a" * (LONGEST_LINE - 1) + "!")], compiled(r"(a|aa)+$"), limit=5, seconds=0.2)
    assert found.passages == ()
    assert "stopped after 0.2 seconds, at a.py" in found.note


def test_nor_does_it_keep_a_thread_in_one_file_for_long() -> None:
    found = grep([("a.py", "a" * (LONGEST_LINE - 1) + "!")], compiled(r"(a|aa)+$"), limit=5, seconds=600)
    assert "stopped after 0.5 seconds, at a.py" in found.note


def test_a_match_in_a_minified_line_is_counted_not_shown() -> None:
    found = grep([("a.js", "x();\n" + "x();" * LONGEST_LINE + "\nx();\n")], compiled("x"), limit=5)
    assert [(p.text, p.locator.lines) for p in found.passages] == [("x();", (1, 1)), ("x();\n", (3, 4))]
    assert found.note.startswith("1 lines")


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "", "a" * 5_000, "(?P<x>a)(?P<x", "a{2,1}"])
def test_a_wrong_pattern_is_the_callers_fault(pattern: str) -> None:
    with pytest.raises(Invalid):
        compiled(pattern)


def test_a_name_is_taken_literally_and_whole() -> None:
    assert lines(word("a.b"), "a.b\n\n\n\n\na.bc\n\n\n\n\naxb\n") == [(1, 3)]
