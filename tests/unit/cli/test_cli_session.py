"""Looking at a task whose bus is gone: who just asked is told where its log went."""

from __future__ import annotations

import pytest

from concertino.bus import topology
from concertino.bus.memory import MemoryBus
from concertino.cli import session
from concertino.client import Client
from concertino.contracts.errors import BusUnavailable, TaskNotFound
from concertino.runtime.settings import Settings

NOWHERE = "nats://127.0.0.1:1"


@pytest.mark.parametrize("named", [False, True])
async def test_who_named_no_bus_and_finds_none_is_told_what_keeps_tasks(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PATIENCE", 0.0)
    if not named:
        monkeypatch.setattr(session, "DEFAULT_URL", NOWHERE)
    with pytest.raises(BusUnavailable, match=f"no NATS server answers at {NOWHERE}") as caught:
        async with session.connect(Settings(nats_url=NOWHERE)):
            pass
    assert ("`concertino up`, which keeps its tasks" in str(caught.value)) is not named


async def test_a_task_that_is_not_in_the_log_may_have_been_asked_without_a_bus() -> None:
    config = Settings()
    bus = MemoryBus(config.subjects)
    await bus.provision(topology.installation(config.subjects))
    with pytest.raises(TaskNotFound, match=r"or of a `concertino ask` without a bus: .* its log included, ended with it"):
        await Client(config=config, bus=bus).state("01m7z48ne1r39h1fyvc8yv0d33")
    await bus.close()
