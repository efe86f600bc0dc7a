"""Too many findings for one look: digested in batches, and every one of them accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from concertino.contracts.errors import ModelRefused, ModelUnavailable, Unusable
from concertino.model.anthropic import items
from concertino.model.anthropic.reduce import Reduced, batches, reduced
from concertino.model.anthropic.session import Block
from kit.writing import Scripted, exhibit, shown, writing

JOB = writing(*(exhibit(i, topic=f"topic {i % 3}") for i in range(1, 31)))
ITEMS = items.single(JOB)
EACH = ITEMS[0].size


def ids_in(content: Sequence[Block]) -> list[str]:
    return [finding["id"] for finding in shown(content, "findings")]


def in_one(content: Sequence[Block]) -> dict[str, Any]:
    ids = ids_in(content)
    return {"points": [{"claim": f"{len(ids)} findings", "findings": ids}]}


def accounted(found: Reduced) -> list[str]:
    aside = [exhibit for _, exhibits in found.aside for exhibit in exhibits]
    return sorted([e for item in found.items for e in item.exhibits] + aside + list(found.over), key=int)


EVERY = [str(i) for i in range(1, 31)]


async def test_what_fits_is_left_as_it_is() -> None:
    session = Scripted()
    found = await reduced(session, JOB, ITEMS)
    assert (list(found.items), found.digested, session.asked) == (ITEMS, False, [])


async def test_batches_keep_together_what_is_about_one_thing() -> None:
    parts = list(batches(ITEMS, EACH * 11))
    assert all(sum(item.size for item in part) <= EACH * 11 for part in parts)
    assert len({item.about for item in parts[0]}) == 1
    assert sorted(item.id for part in parts for item in part) == sorted(EVERY)
    assert [len(part) for part in batches(ITEMS, 1)] == [1] * 30


async def test_points_rest_on_what_they_were_made_of() -> None:
    session = Scripted(Digest=in_one)
    found = await reduced(session, JOB, ITEMS, budget=EACH * 10, batch=EACH * 12)
    assert found.digested
    assert accounted(found) == EVERY
    assert all(item.shown["rests_on"] == len(item.exhibits) > 1 for item in found.items)
    assert {system for _, system, _ in session.asked} == {"Digest."}


async def test_what_a_digest_forgets_is_asked_for_again_once_and_then_weighed_as_it_is() -> None:
    def forgetful(content: Sequence[Block]) -> dict[str, Any]:
        ids = [id_ for id_ in ids_in(content) if id_ not in {"3", "4"}]
        return {"points": [{"claim": "some", "findings": [*ids, "77"]}]}

    session = Scripted(Digest=forgetful)
    found = await reduced(session, JOB, ITEMS, budget=EACH * 10, batch=EACH * 12)
    assert sum("3" in ids_in(content) for _, _, content in session.asked) == 2
    assert {"3", "4"} <= {item.id for item in found.items}
    assert accounted(found) == EVERY
    assert found.unknown > 0


async def test_what_a_digest_sets_aside_keeps_its_reason() -> None:
    def strict(content: Sequence[Block]) -> dict[str, Any]:
        first, *rest = ids_in(content)
        return {
            "points": [{"claim": "one", "findings": [first]}],
            "set_aside": [{"why": "beside it", "findings": [*rest, first]}],
        }

    found = await reduced(Scripted(Digest=strict), JOB, ITEMS, budget=EACH * 10, batch=EACH * 12)
    assert {why for why, _ in found.aside} == {"beside it"}
    assert accounted(found) == EVERY


@pytest.mark.parametrize("error", [Unusable("no form"), ModelRefused("declined")])
async def test_a_batch_that_cannot_be_reduced_is_weighed_as_it_is(error: Exception) -> None:
    def moody(content: Sequence[Block]) -> Any:
        return error if "1" in ids_in(content) else in_one(content)

    found = await reduced(Scripted(Digest=moody), JOB, ITEMS, budget=EACH * 20, batch=EACH * 10)
    assert "1" in {item.id for item in found.items}
    assert accounted(found) == EVERY


@pytest.mark.parametrize("error", [Unusable("no form"), ModelUnavailable("away")])
async def test_where_no_digest_can_be_had_it_says_so(error: Exception) -> None:
    with pytest.raises(type(error)):
        await reduced(Scripted(Digest=error), JOB, ITEMS, budget=EACH * 10, batch=EACH * 10)


async def test_digests_that_do_not_shorten_end_and_what_has_no_room_is_named() -> None:
    def each(content: Sequence[Block]) -> dict[str, Any]:
        return {"points": [{"claim": "c" * 200, "findings": [id_]} for id_ in ids_in(content)]}

    session = Scripted(Digest=each)
    found = await reduced(session, JOB, ITEMS, budget=EACH * 10, batch=EACH * 10)
    assert len(session.asked) < 10
    assert found.over
    assert sum(item.size for item in found.items) <= EACH * 10
    assert accounted(found) == EVERY
