"""Watching a task: it ends, or it is said why it does not."""

from __future__ import annotations

from typing import cast

import pytest

from concertino.bus.jetstream import JetStream
from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.cli import following
from concertino.cli.display import display
from concertino.cli.session import Session
from concertino.client import Client, Limits
from concertino.contracts.errors import DeadlineExceeded
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import Settings


async def test_a_task_that_nobody_ends_is_not_waited_for_beyond_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "OVERDUE", 0.1)
    subjects = Subjects()
    bus = MemoryBus(subjects)
    await bus.provision(installation(subjects))
    client = Client(bus=bus, config=Settings())
    session = Session(client, cast(JetStream, bus), subjects)

    async def begin() -> None:
        await client.submit("Is anybody there?", limits=Limits(deadline=0.1), task="t1")

    with display(quiet=True) as screen, pytest.raises(DeadlineExceeded, match="concertino follow t1"):
        await following.follow(session, "t1", screen, begin)
