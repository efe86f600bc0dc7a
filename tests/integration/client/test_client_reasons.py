"""A task is asked to end, and why: that is kept in its log and stands in its report, so no secret goes there by it."""

from __future__ import annotations

from concertino.bus import topology
from concertino.bus.memory import MemoryBus
from concertino.client import Client
from concertino.contracts.messages import Cancel, Finish
from concertino.masking import MARK
from concertino.runtime.settings import Settings
from kit import planted

SETTINGS = Settings(model="extractive")


async def test_a_secret_in_a_reason_is_not_stored() -> None:
    secret = planted.SECRETS["github"]
    bus = MemoryBus(SETTINGS.subjects)
    await bus.provision(topology.installation(SETTINGS.subjects))
    async with Client(config=SETTINGS, bus=bus) as client:
        task = await client.submit("How long does the relay wait?")
        assert await client.finish(task, f"it found {secret}")
        assert await client.cancel(task, f"it shows {secret}")
        said = [fact.message for fact in await client.facts(task)][1:]
    assert said == [Finish(reason=f"it found {MARK}"), Cancel(reason=f"it shows {MARK}")]


async def test_what_is_being_cancelled_is_not_finished() -> None:
    bus = MemoryBus(SETTINGS.subjects)
    await bus.provision(topology.installation(SETTINGS.subjects))
    async with Client(config=SETTINGS, bus=bus) as client:
        task = await client.submit("How long does the relay wait?")
        assert await client.cancel(task)
        assert not await client.finish(task)
        assert [fact.name.type for fact in await client.facts(task)] == ["submitted", "cancel"]
