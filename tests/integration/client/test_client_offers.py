"""Who submits many plans does not ask for each of them who is on the bus; and none is refused by what was true a moment ago."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from concertino.bus import topology
from concertino.bus.announcements import announce, provide
from concertino.bus.memory import MemoryBus
from concertino.client import Client, Plan, Subtask, offers
from concertino.contracts.errors import InvalidPlan
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import Subjects

SUBJECTS = Subjects()


def plan(kind: str, *tools: str) -> Plan:
    return Plan(subtasks=(Subtask(id="s1", kind=kind, objective="look", tools=tools or None),))


class Looked(MemoryBus):
    """Counts how often it is looked who is there."""

    looks = 0

    async def keys(self, bucket: str) -> dict[str, bytes]:
        self.looks += bucket == SUBJECTS.workers_bucket
        return await super().keys(bucket)


@pytest.fixture
async def bus(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Looked]:
    monkeypatch.setattr(offers, "FRESH", 600.0)
    bus = Looked(SUBJECTS)
    await bus.provision(topology.installation(SUBJECTS))
    await announce(bus, SUBJECTS, Announcement(kind="web", description="Looks.", replica="r1", tools=("look",)))
    yield bus
    await bus.close()


async def test_of_many_plans_one_asks_who_is_there(bus: Looked) -> None:
    client = Client(bus=bus)
    for _ in range(10):
        await client.submit("What?", plan=plan("web"))
    assert bus.looks == 1


async def test_who_came_meanwhile_is_found(bus: Looked) -> None:
    client = Client(bus=bus)
    await client.submit("What?", plan=plan("web", "look"))

    await announce(bus, SUBJECTS, Announcement(kind="code", description="Reads.", replica="r1"))
    await client.submit("What?", plan=plan("code"))
    await provide(bus, SUBJECTS, [Announcement(kind="docs", description="Reads.", replica="")])
    await client.submit("What?", plan=plan("docs"))


async def test_what_nobody_does_is_refused_after_a_look(bus: Looked) -> None:
    client = Client(bus=bus)
    await client.submit("What?", plan=plan("web"))
    with pytest.raises(InvalidPlan, match="no worker does 'code'; on the bus: web"):
        await client.submit("What?", plan=plan("code"))
    with pytest.raises(InvalidPlan, match="wants tools that 'web' does not have"):
        await client.submit("What?", plan=plan("web", "fly"))
    assert bus.looks == 3


async def test_what_was_found_is_good_for_a_moment_only(bus: Looked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "FRESH", 0.0)
    client = Client(bus=bus)
    for _ in range(3):
        await client.submit("What?", plan=plan("web"))
    assert bus.looks == 3
