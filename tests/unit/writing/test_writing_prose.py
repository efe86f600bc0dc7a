"""Prose with native citations becomes Markdown with marks, wherever a citation ends."""

from __future__ import annotations

import pytest

from concertino.model.anthropic.prose import flagged, marked, uncited
from concertino.model.anthropic.session import Piece

IDS = ["7", "9"]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([Piece("It is so.", (0,))], "It is so [7]."),
        ([Piece("It is so", (0, 1)), Piece(", says both.")], "It is so [7] [9], says both."),
        ([Piece("It is so. ", (0, 0)), Piece("And so.", (1,))], "It is so [7]. And so [9]."),
        ([Piece("One.\n\n", (0,)), Piece("## Two\n")], "One [7].\n\n## Two\n"),
        ([Piece("| a | b |\n", (0,)), Piece("| c | d |", (1,))], "| a | b [7] |\n| c | d [9] |"),
        ([Piece("It is"), Piece(" so", (0,)), Piece("."), Piece(" Sure.", (5, -1))], "It is so [7]. Sure."),
        ([Piece("Use `max", (0,)), Piece("_tries` now.")], "Use `max_tries` [7] now."),
        ([Piece("```py\nx = 1\n", (0,)), Piece("y = 2\n```\nDone.")], "```py\nx = 1\ny = 2\n```\n\n[7]\n\nDone."),
        ([Piece("So:\n```\nx\n```", (0,))], "So:\n```\nx\n```\n\n[7]\n"),
        ([Piece("So:\n```\nx", (0,))], "So:\n```\nx\n```\n\n[7]\n"),
        ([Piece("So:\n```\n", (0,))], "So:\n```\n\n```\n\n[7]\n"),
        ([Piece("Use `max", (0,))], "Use `max` [7]"),
        ([Piece("Odd ```", (0,))], "Odd ``` [7]"),
        ([Piece("``", (0,))], "`` [7]"),
        ([Piece("Odd ` tick", (0,)), Piece(" here.\nNext.")], "Odd ` tick here [7].\nNext."),
        ([Piece("", (0,)), Piece("Late.")], "[7]Late."),
        ([], ""),
    ],
)
def test_marks_stand_behind_what_cites(pieces: list[Piece], text: str) -> None:
    assert marked(pieces, IDS) == text


def test_marks_of_the_author_do_not_count_beside_native_ones() -> None:
    footnote = [Piece("As Smith [9] says, it is so", (0,)), Piece(". See [7], [3] and `x[7]`.")]
    assert marked(footnote, IDS) == "As Smith says, it is so [7]. See, and `x[7]`."


def test_marks_of_the_author_count_where_nothing_cites_natively() -> None:
    assert marked([Piece("It is so [7], they say [3].")], IDS) == "It is so [7], they say."


def test_private_characters_forge_no_mark() -> None:
    assert marked([Piece("It is \ue0009\ue001 so", (0,))], IDS) == "It is 9 so [7]"


def test_what_states_something_and_cites_nothing_is_counted() -> None:
    stating = "this is a statement of eight words or more"
    text = f"# {stating}\n{stating} [1]\nand goes on\n\n{stating}\n\n- short\n- {stating}\n- {stating} [2]\n"
    text += f"\n| {stating} | b |\n|---|---|\n| {stating} [3] | c |\n\n```\n{stating}\n```\n"
    assert uncited(text) == 3  # a paragraph, an entry, a row
    assert uncited("") == 0


def test_what_states_something_and_cites_nothing_is_noted_where_it_stands() -> None:
    stating = "this is a statement of eight words or more"
    text = f"{stating},\nat some length.\n\n{stating} [1].\n\n{stating}:\n- {stating}\n- short\n"
    text += f"\n| {stating} | b |\n|---|---|\n| {stating} | c |"
    noted = f"{stating},\nat some length. *(cites nothing)*\n\n{stating} [1].\n\n{stating}:\n"
    noted += f"- {stating} *(cites nothing)*\n- short\n"
    noted += f"\n| {stating} | b |\n|---|---|\n| {stating} | c *(cites nothing)* |"
    assert flagged(text) == noted
    assert uncited(noted) == uncited(text)
    assert flagged("") == ""
