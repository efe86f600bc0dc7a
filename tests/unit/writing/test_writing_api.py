"""Reports through the SDK: what is sent, what comes back as citations, and what is left where the API fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from concertino.contracts.errors import ModelRefused, ModelRejected
from concertino.model.anthropic import Anthropic
from concertino.model.anthropic.world import World
from concertino.model.port import Answer, Draft, Hooks, Writing
from concertino.runtime.config import Config
from concertino.testing import Asked, Break, Cited, CutOff, Fault, MessagesApi, Refuse, Reply, Say
from kit.writing import exhibit, shown, writing

PROSE = Say(["Five ", Cited("tries", (1,)), ", then it stops. ", Cited("So says the other", (0, 1)), "."])


@pytest.fixture
async def api() -> AsyncIterator[MessagesApi]:
    async with MessagesApi() as server:
        yield server
        assert not server.unexpected


async def written(api: MessagesApi, job: Writing) -> Answer[Draft]:
    async def at_once(_: float) -> None:
        return None

    model = Anthropic("synthesize", Config(), environment=api.environment(), world=World(sleep=at_once, clock=lambda: 1e9))
    try:
        return await model.write(job)
    finally:
        await model.close()


def weighed(*ids: str, **more: Any) -> dict[str, Any]:
    points = [{"claim": f"point {id_}", "findings": [id_]} for id_ in ids]
    return {
        "answer": "Five times.",
        "sections": [{"heading": "Tries", "points": points}],
        "same": [],
        "conflicts": [],
        "doubtful": [],
        "set_aside": [],
        "gaps": [],
        "open": [],
        "closed": [],
        "repeated": [],
        **more,
    }


def weighing(asked: Asked) -> bool:
    return asked.system == "Weigh."


def prose(asked: Asked) -> bool:
    return asked.system == "Write."


async def test_quotes_are_cited_natively_and_told_as_they_are_written(api: MessagesApi) -> None:
    heard: list[str] = []

    async def hear(text: str) -> None:
        heard.append(text)

    api.on(weighing, Say(json=weighed("1", "2")))
    api.on(prose, PROSE)
    answer = await written(api, writing(exhibit(1, root="/a"), exhibit(2, root="/b"), hooks=Hooks(on_text=hear)))
    assert answer.value.text == "Five tries [2], then it stops. So says the other [1] [2].\n"
    assert (answer.prompt, answer.model, answer.shortfall) == ("weigh-2 write-3", "claude-opus-5-5", None)
    assert len(heard) > 2
    assert "".join(heard) == "Five tries, then it stops. So says the other."
    first, second = api.asked
    assert first.form is not None
    assert first.form["properties"].keys() >= {
        "answer",
        "sections",
        "same",
        "conflicts",
        "doubtful",
        "set_aside",
        "gaps",
        "open",
        "closed",
        "repeated",
    }
    assert second.form is None
    assert [(r["source"], r["title"], r["citations"]) for r in second.search_results] == [
        ("1", "`1.md:1` in /a", {"enabled": True}),
        ("2", "`2.md:1` in /b", {"enabled": True}),
    ]


async def test_whoever_forgets_a_finding_is_asked_again(api: MessagesApi) -> None:
    api.on(weighing, Say(json=weighed("1")), Say(json=weighed("1", "2")))
    api.on(prose, PROSE)
    await written(api, writing(exhibit(1), exhibit(2)))
    assert "these findings stand nowhere, put each where it belongs: 2" in api.asked[1].text


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(529), "is overloaded"),
        (Refuse(), "declines"),
        (Say("no form at all"), "not in the form"),
        (CutOff("{"), "cut off twice"),
    ],
)
async def test_where_no_better_weighing_comes_the_first_one_counts(api: MessagesApi, fault: Reply, reason: str) -> None:
    api.on(lambda asked: weighing(asked) and asked.turns == 1, every=fault)
    api.on(weighing, Say(json=weighed("1")))
    api.on(prose, PROSE)
    answer = await written(api, writing(exhibit(1), exhibit(2), exhibit(3)))
    assert answer.shortfall is not None
    assert answer.shortfall.message.startswith("the findings were weighed, but what was wrong with it could not be put right: ")
    assert reason in answer.shortfall.message
    assert answer.value.text.startswith("Five tries [2]")
    assert "breaks off" not in answer.value.text
    assert answer.value.gaps == ("neither used nor set aside: 1 finding (`3.md:1`)",)


async def test_many_findings_are_digested_side_by_side(api: MessagesApi) -> None:
    def digest(asked: Asked) -> Reply:
        ids = [finding["id"] for finding in shown(asked.body["messages"][0]["content"], "findings")]
        return Say(json={"points": [{"claim": "They agree.", "findings": ids}], "set_aside": []})

    def weigh(asked: Asked) -> Reply:
        return Say(json=weighed(*(f["id"] for f in shown(asked.body["messages"][0]["content"], "findings"))))

    api.on(lambda asked: asked.system == "Digest.", every=digest)
    api.on(weighing, every=weigh)
    api.on(prose, every=Say(["All ", Cited("agree", (0,)), "."]))
    answer = await written(api, writing(*(exhibit(i, f"{i} " + "x" * 1_500) for i in range(1, 201))))
    assert answer.prompt == "digest-1 weigh-2 write-3"
    assert answer.value.text.startswith("All agree [1].\n\n## Also found\n\n- point p2 [")
    assert sum(asked.system == "Digest." for asked in api.asked) == 6


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(529), "is overloaded"),
        (Fault(401, message="invalid x-api-key"), "does not accept the key"),
        (Refuse(), "declines"),
        (Break(after=0), "connection"),
    ],
)
async def test_what_was_decided_stands_where_the_prose_does_not_come(api: MessagesApi, fault: Reply, reason: str) -> None:
    api.on(weighing, Say(json=weighed("1", "2")))
    api.on(prose, every=fault)
    answer = await written(api, writing(exhibit(1), exhibit(2)))
    assert answer.shortfall is not None
    assert reason in answer.shortfall.message
    assert answer.value.text.startswith("*The report was decided, and not written out: ")
    assert answer.value.text.endswith("## What was to be said\n\n- point 1 [1]\n- point 2 [2]\n")


async def test_prose_that_breaks_off_is_kept_and_completed(api: MessagesApi) -> None:
    api.on(weighing, Say(json=weighed("1", "2")))
    api.on(prose, every=Break(after=12, reply=Say([Cited("It tries", (0,)), " and goes on and on and on and on. " * 20])))
    answer = await written(api, writing(exhibit(1), exhibit(2)))
    assert answer.shortfall is not None
    assert answer.value.text.startswith("It tries [1]")
    assert "*The text breaks off here: " in answer.value.text
    assert answer.value.text.endswith("## What was to be said\n\n- point 2 [2]\n")


@pytest.mark.parametrize(("fault", "error"), [(Refuse(), ModelRefused), (Fault(413), ModelRejected)])
async def test_a_weighing_that_does_not_come_is_an_error(api: MessagesApi, fault: Reply, error: type[Exception]) -> None:
    api.on(weighing, every=fault)
    with pytest.raises(error):
        await written(api, writing(exhibit(1)))


async def test_prose_that_is_cut_off_goes_on(api: MessagesApi) -> None:
    api.on(weighing, Say(json=weighed("1")))
    api.on(prose, CutOff("It tries "), Say([Cited("five times", (0,)), "."]))
    answer = await written(api, writing(exhibit(1)))
    assert answer.shortfall is None
    assert answer.value.text == "It tries five times [1].\n"
