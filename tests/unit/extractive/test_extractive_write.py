"""Reports: one claim and its quote first, well-formed Markdown whatever the material holds, nothing empty, nothing hidden."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from concertino.contracts.messages import Evidence, Finding, Input, Locator, Result, Subtask, Work
from concertino.model.extractive.markup import LINE, LINES, block, inline, place
from concertino.model.extractive.sections import NAMED
from concertino.model.extractive.write import CITED, write
from concertino.model.port import Exhibit, Writing


def exhibit(
    id_: str, quote: str = "x = 1", source: str = "a.py", claim: str = "", subtask: str = "s1", line: int = 7
) -> Exhibit:
    evidence = Evidence(
        digest="0" * 64,
        span=(0, len(quote)),
        source=source,
        locator=Locator(lines=(line, line + quote.count("\n"))),
        quote=quote,
    )
    return Exhibit(id_, claim or f"`{source}` says {id_}.", evidence, subtask, 0.5, 0.5)


def writing(*exhibits: Exhibit, objectives: tuple[str, ...] = ("How is it done?",), **more: tuple[str, ...]) -> Writing:
    subtasks = [Subtask(id=f"s{i}", kind="code", objective=o) for i, o in enumerate(objectives, 1)]
    found = {e.subtask for e in exhibits}
    results = {s.id: Result(findings=(Finding(claim="found"),) if s.id in found else ()) for s in subtasks}
    work = Work(
        task="t1",
        id="synthesis.0",
        attempt=1,
        request="?",
        brief=Subtask(id="synthesize-0", kind="synthesize", objective="?"),
        deadline=1.0,
        inputs=tuple(Input(subtask=s, result=results[s.id]) for s in subtasks),
    )
    return Writing(work=work, exhibits=exhibits, **more)


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.*)$", text, re.MULTILINE)


def test_the_answer_comes_first_with_its_place_and_its_quote() -> None:
    text = write(writing(exhibit("1", "    return 1"), exhibit("2", source="docs/b.md"))).text
    assert text.startswith("`a.py:7` says 1. [1]\n\n```python\n    return 1\n```\n\nSee also:\n\n- `docs/b.md:7` says 2. [2]\n")
    assert headings(text) == []


def test_a_claim_that_does_not_name_its_source_is_told_where() -> None:
    assert write(writing(exhibit("1", claim="It is one."))).text.startswith("It is one. (`a.py:7`) [1]\n")


def test_each_question_has_its_own_section_in_the_order_of_the_asking() -> None:
    draft = write(
        writing(exhibit("1", subtask="s2"), exhibit("2", subtask="s1"), objectives=("how is it done?", "max_size is what?"))
    )
    assert headings(draft.text) == ["How is it done?", "max_size is what?"]
    assert draft.text.index("[2]") < draft.text.index("[1]")


def test_no_question_crowds_out_another() -> None:
    many = [exhibit(str(i), source=f"{i}.py", subtask="s1" if i <= 20 else "s2") for i in range(1, 23)]
    text = write(writing(*many, objectives=("one?", "two?"))).text
    assert len(re.findall(r"\[\d+\]", text)) <= CITED
    assert "[21]" in text


def test_what_is_far_less_sure_than_the_best_is_left_out_but_for_the_first_few_sources() -> None:
    sure = structs.replace(exhibit("1", source="a.py"), confidence=0.9)
    others = [structs.replace(exhibit(str(i), source=f"{i}.py"), confidence=0.2) for i in range(2, 6)]
    again = structs.replace(exhibit("6", source="a.py", line=70), confidence=0.8)
    text = write(writing(sure, again, *others)).text
    assert re.findall(r"\[(\d+)\]", text) == ["1", "6", "2", "3"]


def test_nothing_found_is_said_first_and_why_after() -> None:
    draft = write(writing(gaps=("searched for “x” in vain",)))
    assert draft.text.startswith("Nothing in the sources answers this.\n")
    assert headings(draft.text) == ["Not found, or missing"]
    assert draft.gaps == ("searched for “x” in vain",)
    assert draft.open == ("How is it done?",)


def test_missing_parts_are_named_in_the_text() -> None:
    draft = write(writing(exhibit("1"), missing=("“late?” (docs): no result came in time",)))
    assert "- “late?” (docs): no result came in time\n" in draft.text
    assert draft.gaps == ("“late?” (docs): no result came in time",)
    assert draft.open == ()


def test_claims_without_evidence_are_never_mixed_with_quotes() -> None:
    text = write(writing(assertions=("the moon is cheese",))).text
    assert text.startswith("Nothing that could be quoted answers this.\n")
    assert "## Said by workers, without evidence\n\n- the moon is cheese\n" in text


def test_long_lists_are_counted_not_poured_out() -> None:
    draft = write(writing(assertions=tuple(f"claim {i}" for i in range(5000))))
    assert f"- … and {5000 - NAMED} more\n" in draft.text
    assert len(draft.text) < 2000


def test_conflicts_are_shown_with_both_sides_cited() -> None:
    said = exhibit("1", "`max_size` defaults to 8", "README.md")
    draft = write(writing(said, exhibit("2", "max_size = 16", "a.py")))
    assert (
        "## Where the sources disagree\n\n- The sources do not agree on `max_size`.\n"
        "  - `max_size` is 8 (README.md) [1]\n  - `max_size` is 16 (a.py) [2]\n  - Open: neither"
    ) in draft.text
    assert [p.citations for p in draft.conflicts[0].positions] == [("1",), ("2",)]


def test_how_it_was_made_is_said_last() -> None:
    assert write(writing(exhibit("1"))).text.rstrip().splitlines()[-1].startswith("*Made without a language model")


@pytest.mark.parametrize(
    "hostile",
    [
        "```python\nx\n```",
        "````\n```\n````",
        "~~~\nx",
        "# no heading",
        "- no item",
        "1. no item",
        "see [1] and [99]",
        "an odd ` tick",
        "two\n\nparagraphs",
        "`a[1]`",
        "<b>",
    ],
)
def test_hostile_material_changes_nothing_around_it(hostile: str) -> None:
    plain = write(writing(exhibit("1", claim="CLAIM"), exhibit("2", claim="OTHER"), gaps=("GAP",))).text
    text = write(
        writing(exhibit("1", quote=hostile, claim=hostile), exhibit("2", claim=hostile), gaps=(hostile,), objectives=(hostile,))
    ).text
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$\n", "", text)
    assert headings(outside) == headings(plain)
    assert hostile in text  # in its fence, as it stands
    assert len(re.findall(r"^- ", outside, re.MULTILINE)) == 2
    marks = re.findall(r"(?<!\\)\[(\d+)\]", re.sub(r"`[^`\n]*`", "", outside))
    assert marks == ["1", "2"]


def test_a_quote_too_large_to_read_is_cut_where_it_is_shown() -> None:
    lines = block("a.json", "\n".join(["x" * 10_000] * 100))
    assert lines[0] == "```json"
    assert all(len(line) <= LINE + 2 for line in lines)
    assert lines[-2] == f"… {100 - LINES} more lines"


@pytest.mark.parametrize(
    ("source", "locator", "shown"),
    [
        ("src/a.py", Locator(lines=(7, 9)), "`src/a.py:7`"),
        ("a.pdf", Locator(page=4), "`a.pdf`, page 4"),
        ("https://x.org/a", Locator(fragment="Set up > [1] Now"), r"`https://x.org/a`, Set up > \[1] Now"),
        ("odd`name.md", Locator(), "``odd`name.md``"),
        ("two\n# lines.md", Locator(lines=(1, 1)), "`two\N{REPLACEMENT CHARACTER}# lines.md:1`"),
    ],
)
def test_places(source: str, locator: Locator, shown: str) -> None:
    assert place(source, locator) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a <script>alert(1)</script> b < c", r"a \<script>alert(1)\</script> b < c"),
        ("one\n two", "one two"),
        ("# x", r"\# x"),
        ("#hash", "#hash"),
        ("- x", r"\- x"),
        ("12. x", r"\12. x"),
        ("`a[1]` but [1]", r"`a[1]` but \[1]"),
        ("[1] and `a`", r"\[1] and `a`"),
        ("odd ` tick", r"odd \` tick"),
        ("", ""),
    ],
)
def test_inline(text: str, shown: str) -> None:
    assert inline(text) == shown
