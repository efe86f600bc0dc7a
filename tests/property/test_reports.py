"""Whatever a model answers: marks cite what was offered, text stays what it was, and every finding is accounted for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from concertino.model import marks
from concertino.model.anthropic import items
from concertino.model.anthropic.prose import marked
from concertino.model.anthropic.reduce import reduced
from concertino.model.anthropic.session import Block, Piece, Written
from concertino.model.anthropic.write import write
from concertino.synthesizer.marks import cited
from kit.writing import Scripted, exhibit, writing

TEXT = st.text(alphabet="ab. \n`~|[]17\\#-", max_size=24)
PIECES = st.lists(st.builds(Piece, TEXT, st.lists(st.integers(-1, 3), max_size=2).map(tuple)), max_size=8)
IDS = ["1", "7", "17"]


@given(PIECES)
def test_what_cites_natively_is_marked_and_nothing_else(pieces: list[Piece]) -> None:
    native = {IDS[place] for piece in pieces for place in piece.cites if 0 <= place < len(IDS)}
    text = marked(pieces, IDS)
    assert set(marks.ids(text)) == native or (not native and set(marks.ids(text)) <= set(IDS))


@given(PIECES)
def test_marks_change_no_word(pieces: list[Piece]) -> None:
    def words(text: str) -> str:
        return re.sub(r"[^ab#|]", "", text)

    assert words(marked(pieces, IDS)) == words("".join(piece.text for piece in pieces))


@given(st.lists(TEXT, max_size=6).map("[9]".join), st.sets(st.sampled_from(["1", "7", "9"])))
def test_what_is_cited_is_what_there_is(text: str, there: set[str]) -> None:
    left, citations, dropped = cited(text, [exhibit(id_) for id_ in sorted(there)])
    assert {c.id for c in citations} == set(marks.ids(left)) <= there
    assert cited(left, [exhibit(id_) for id_ in sorted(there)]) == (left, citations, 0)
    assert (dropped == 0) == (left == text)


SOME = st.lists(st.integers(0, 12).map(str), max_size=5)
ASIDES = st.lists(st.fixed_dictionaries({"why": st.sampled_from(["", "old", "off"]), "findings": SOME}), max_size=2)
POINTS = st.lists(st.fixed_dictionaries({"claim": st.sampled_from(["", "a claim"]), "findings": SOME}), max_size=4)
JOB = writing(*(exhibit(i) for i in range(1, 11)))
EVERY = {e.id for e in JOB.exhibits}


@given(st.lists(st.fixed_dictionaries({"points": POINTS, "set_aside": ASIDES}), min_size=1, max_size=4), st.integers(1, 400))
def test_reduction_loses_nothing(digests: list[dict[str, Any]], budget: int) -> None:
    turn = iter(range(10_000))
    session = Scripted(Digest=lambda _: digests[next(turn) % len(digests)])
    found = asyncio.run(reduced(session, JOB, items.single(JOB), budget=budget, batch=120))
    placed = [e for item in found.items for e in item.exhibits] + [e for _, aside in found.aside for e in aside]
    assert set(placed) | set(found.over) == EVERY
    assert sum(item.size for item in found.items) <= budget or not found.digested


@given(
    st.fixed_dictionaries(
        {
            "answer": st.just("So."),
            "sections": st.lists(st.fixed_dictionaries({"heading": st.just("h"), "points": POINTS}), max_size=2),
            "same": st.lists(st.fixed_dictionaries({"findings": SOME}), max_size=2),
            "conflicts": st.lists(st.fixed_dictionaries({"statement": st.just("?"), "sides": POINTS}), max_size=2),
            "doubtful": ASIDES,
            "set_aside": ASIDES,
        }
    ),
    st.lists(st.integers(0, 10), max_size=6),
)
def test_a_report_accounts_for_every_finding(weighed: dict[str, Any], said: list[int]) -> None:
    def prose(content: Sequence[Block]) -> Written:
        return Written(tuple(Piece(f"Sentence {n}. ", (place,)) for n, place in enumerate(said)))

    session = Scripted(prose, Weighed=[weighed, weighed])
    answer = asyncio.run(write(session, JOB))
    draft = answer.value
    assert set(marks.ids(draft.text)) <= EVERY
    told = draft.text + "\n".join(draft.gaps)
    counted = sum(int(n) for n in re.findall(r": (\d+) findings? \(", told))
    points = [p for section in weighed["sections"] for p in section["points"]]
    points += [side for conflict in weighed["conflicts"] for side in conflict["sides"]]
    # What supports the same statement as what is cited need not be cited itself.
    beside = {id_ for group in (*points, *weighed["same"]) for id_ in group["findings"]}
    for id_ in EVERY - set(marks.ids(draft.text)) - beside:
        assert counted, f"{id_} is nowhere"
        assert f"`{id_}.md:1`" in told or " more)" in told
    here = set(marks.ids(draft.text))
    here = here.union(*(group["findings"] for group in weighed["same"] if not here.isdisjoint(group["findings"])))
    for point in (p for section in weighed["sections"] for p in section["points"] if p["claim"]):
        assert EVERY.isdisjoint(point["findings"]) or not here.isdisjoint(point["findings"])
