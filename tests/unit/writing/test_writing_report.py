"""A report: prose that cites, and below it whatever the prose leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from concertino.contracts.errors import ConcertinoError, DeadlineExceeded, ModelRefused, ModelUnavailable
from concertino.contracts.facts import failure
from concertino.contracts.messages import Failure
from concertino.model.anthropic.session import Block, Piece, Written
from concertino.model.anthropic.write import write
from concertino.model.port import Hooks
from kit.writing import Scripted, citing, exhibit, shown, writing

BROKEN = Failure(code="model_unavailable", message="the connection broke")


def point(claim: str, *ids: str) -> dict[str, Any]:
    return {"claim": claim, "findings": ids}


def outline(*points: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"answer": "So.", "sections": [{"heading": "All", "points": points}], **more}


def sources(content: Sequence[Block]) -> list[str]:
    return [block["source"] for block in content if block["type"] == "search_result"]


async def test_what_is_weighed_is_written_with_citations() -> None:
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    session = Scripted(citing, Weighed=outline(point("a", "2"), point("b", "1", "3")))
    job = writing(*(exhibit(i) for i in (1, 2, 3)), hooks=Hooks(on_text=hear))
    answer = await write(session, job)
    assert answer.value.text == "So says 2 [2]. So says 1 [1]. So says 3 [3].\n"
    assert (answer.prompt, answer.shortfall, answer.value.gaps) == ("weigh-2 write-3", None, ())
    assert "".join(heard) == "So says 2. So says 1. So says 3. "
    [(_, weigh_system, _), (_, write_system, content)] = session.asked
    assert (weigh_system, write_system) == ("Weigh.", "Write.")
    assert shown(content, "decisions")["outline"] == [
        {"heading": "All", "points": [{"claim": "a", "sources": ["2"]}, {"claim": "b", "sources": ["1", "3"]}]}
    ]


async def test_what_can_be_cited_is_the_quote_and_its_place() -> None:
    session = Scripted(citing, Weighed=outline(point("a", "1", "2")))
    await write(session, writing(exhibit(1, "x = 1", "A claim.", "a.py", "/a", around=("y", "z")), exhibit(2, root="/b")))
    first = session.asked[-1][2][2]
    assert first == {
        "type": "search_result",
        "source": "1",
        "title": "`a.py:1` in /a",
        "content": [{"type": "text", "text": "x = 1"}],
        "citations": {"enabled": True},
    }
    assert "A claim." not in str(session.asked[-1][2])


async def test_points_that_the_prose_leaves_out_stand_below_it() -> None:
    session = Scripted(
        Written((Piece("Only this.", (0,)),)), Weighed=outline(point("a", "1"), point("b [2] `c", "2"), point("d", "3"))
    )
    answer = await write(session, writing(*(exhibit(i) for i in (1, 2, 3))))
    assert answer.value.text == "Only this [1].\n\n## Also found\n\n- b \\[2] \\`c [2]\n- d [3]\n"


async def test_what_says_the_same_as_what_is_cited_is_not_left_out() -> None:
    same = outline(point("a", "1"), point("a again", "2"), same=[{"findings": ["1", "2", "3"]}])
    answer = await write(Scripted(Written((Piece("This.", (0,)),)), Weighed=same), writing(*(exhibit(i) for i in (1, 2, 3))))
    assert answer.value.text == "This [1].\n"
    assert answer.value.gaps == ()


async def test_disputes_asides_gaps_and_assertions_close_it() -> None:
    made = outline(
        point("a", "1"),
        conflicts=[{"statement": "Which?", "sides": [point("one", "1"), point("two", "2")], "why": "Nothing decides it."}],
        set_aside=[{"why": "off the question", "findings": ["3"]}],
        doubtful=[{"why": "hearsay.", "findings": ["4", "1"]}],
        gaps=["who did it"],
        open=["who did it"],
    )
    job = writing(*(exhibit(i) for i in (1, 2, 3, 4)), assertions=("They say so.",), missing=("“x” (web) failed: gone",))
    answer = await write(Scripted(Written((Piece("This.", (0,)),)), Weighed=made), job)
    assert answer.value.text == (
        "This [1].\n\n## Where the sources disagree\n\n- Which?\n  - one [1]\n  - two [2]\n  - Open: Nothing decides it.\n"
        "\n## Said by workers, without evidence\n\n- They say so.\n"
        "\n## Set aside\n\n- off the question: 1 finding (`3.md:1`)\n- hearsay: 1 finding (`4.md:1`)\n"
        "\n## Not found, or missing\n\n- who did it\n- “x” (web) failed: gone\n"
    )
    assert answer.value.gaps == ("who did it", "“x” (web) failed: gone")
    assert answer.value.open == ("who did it",)
    assert [p.citations for p in answer.value.conflicts[0].positions] == [("1",), ("2",)]


async def test_what_a_worker_looked_for_in_vain_is_listed_where_the_weighing_passes_over_it() -> None:
    made = outline(point("a", "1"), gaps=["who"], closed=[{"gap": 2, "findings": ["1"]}], repeated=[3])
    job = writing(exhibit(1), gaps=("the TLS port [1]", "the port", "whoever it was"), missing=("“x” (web) failed: gone",))
    answer = await write(Scripted(Written((Piece("This.", (0,)),)), Weighed=made), job)
    assert answer.value.text == (
        "This [1].\n\n## Not found, or missing\n\n- who\n- “x” (web) failed: gone\n"
        "\n## Also looked for in vain\n\n- the TLS port \\[1]\n"
    )
    assert answer.value.gaps == ("who", "“x” (web) failed: gone", "the TLS port [1]")


async def test_nothing_is_open_where_nobody_can_be_asked() -> None:
    answer = await write(Scripted(citing, Weighed=outline(point("a", "1"), open=["who"])), writing(exhibit(1), kinds=()))
    assert (answer.value.gaps, answer.value.open) == (("who",), ())


async def test_what_the_weighing_forgets_twice_can_be_cited_and_is_named_otherwise() -> None:
    forgetful = outline(point("a", "1"))
    session = Scripted(Written((Piece("This.", (0,)), Piece("And that.", (1,)))), Weighed=[forgetful, forgetful])
    answer = await write(session, writing(*(exhibit(i) for i in (1, 2, 3))))
    assert "stand nowhere" in session.objections[0]
    assert sources(session.asked[-1][2]) == ["1", "2", "3"]
    assert shown(session.asked[-1][2], "decisions")["not_placed"] == ["2", "3"]
    assert answer.value.gaps == ("neither used nor set aside: 1 finding (`3.md:1`)",)


async def test_text_that_breaks_off_says_so_and_is_completed_by_the_outline() -> None:
    session = Scripted(
        Written((Piece("This.", (0,)), Piece(" And")), BROKEN), Weighed=outline(point("a", "1"), point("b", "2"))
    )
    answer = await write(session, writing(exhibit(1), exhibit(2)))
    assert answer.shortfall == BROKEN
    assert answer.value.text == (
        "This [1]. And\n\n*The text breaks off here: the connection broke.*\n\n## What was to be said\n\n- b [2]\n"
    )


async def test_text_that_breaks_off_before_it_cites_gives_way_to_the_outline() -> None:
    session = Scripted(Written((Piece("Well,"),), BROKEN), Weighed=outline(point("a", "1"), point("b", "2")))
    answer = await write(session, writing(exhibit(1), exhibit(2)))
    assert answer.value.text == (
        "*The report was decided, and not written out: the connection broke.*\n\n## What was to be said\n\n- a [1]\n- b [2]\n"
    )


@pytest.mark.parametrize(
    ("said", "text"), [((), "Nothing that was found answers this.\n"), (("So.",), "Nothing that could be quoted")]
)
async def test_without_findings_nothing_is_claimed(said: tuple[str, ...], text: str) -> None:
    session = Scripted(Weighed={"answer": "I know it anyway.", "gaps": ["all of it"], "open": ["all of it"]})
    answer = await write(session, writing(assertions=said))
    assert answer.value.text.startswith(text)
    assert "anyway" not in answer.value.text
    assert (answer.prompt, answer.value.open) == ("weigh-2", ("all of it",))


async def test_what_cites_nothing_is_noted_and_counted() -> None:
    prose = Written((Piece("This.", (0,)), Piece("\n\nAll in all it may well be said that all is well.")))
    answer = await write(Scripted(prose, Weighed=outline(point("a", "1"))), writing(exhibit(1)))
    assert answer.value.text.startswith("This [1].\n\nAll in all it may well be said that all is well. *(cites nothing)*\n")
    assert answer.value.gaps == ("1 passage of the report cites nothing",)


async def test_a_refusal_to_weigh_is_raised() -> None:
    with pytest.raises(ModelRefused):
        await write(Scripted(Weighed=ModelRefused("no")), writing(exhibit(1)))


@pytest.mark.parametrize(
    "error", [ModelRefused("it declines."), ModelUnavailable("it declines"), DeadlineExceeded("it declines")]
)
async def test_a_refusal_to_write_leaves_what_was_decided(error: ConcertinoError) -> None:
    answer = await write(Scripted(error, Weighed=outline(point("a", "1"))), writing(exhibit(1)))
    assert answer.shortfall == failure(error)
    assert answer.value.text == (
        "*The report was decided, and not written out: it declines.*\n\n## What was to be said\n\n- a [1]\n"
    )


async def test_two_thousand_findings_are_reduced_weighed_and_written_and_none_is_lost() -> None:
    job = writing(*(exhibit(i, f"quote {i} " + "x" * 200, topic=f"topic {i % 7}") for i in range(1, 2001)))

    def digest(content: Sequence[Block]) -> dict[str, Any]:
        ids = [finding["id"] for finding in shown(content, "findings")]
        tens = [ids[at : at + 10] for at in range(1, len(ids), 10)]  # forgets one
        return {
            "points": [point(f"point of {ten[0]}", *ten) for ten in tens[1:]],
            "set_aside": [{"why": "off the question", "findings": tens[0]}] if tens else [],
        }

    def weigh(content: Sequence[Block]) -> dict[str, Any]:
        return outline(*(point(f["claim"], f["id"]) for f in shown(content, "findings")))

    session = Scripted(citing, Digest=digest, Weighed=weigh)
    answer = await write(session, job)
    assert answer.prompt == "digest-1 weigh-2 write-3"
    text = answer.value.text
    [weighed] = [content for form, _, content in session.asked if form == "Weighed"]
    rests = [f.get("rests_on", 1) for f in shown(weighed, "findings")]
    aside = int(text.partition("off the question: ")[2].partition(" ")[0])
    assert sum(rests) + aside == 2000
    assert all(f"[{f['id']}]" not in text for f in shown(weighed, "findings") if f["id"].startswith("p"))
    assert answer.value.gaps == ()
