"""Settings for all that differ between those who are started: what was set before is not changed in silence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from concertino.bus.jetstream import JetStream
from concertino.bus.topology import installation
from concertino.cli.fleet.fleet import Fleet
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings
from kit.waiting import until

pytestmark = [pytest.mark.nats]

DAYS = 8 * 86_400.0


async def test_who_changes_the_limit_of_queues_says_so_and_who_repeats_it_does_not(
    nats_server: NatsServer, subjects: Subjects
) -> None:
    bus = await JetStream.connect(nats_server.url, "test", subjects)
    with capture_logs() as logs:
        await bus.provision(installation(subjects, max_queued=10), shrinks=False)
        await bus.provision(installation(subjects, max_queued=10), shrinks=False)
    assert logs == []
    with capture_logs() as logs:
        await bus.provision(installation(subjects, max_queued=20), shrinks=False)
    assert [("CTN_MAX_QUEUED" in entry["event"], entry["before"], entry["now"]) for entry in logs] == [(True, 10, 20)]
    assert (await bus.queued(subjects.work_stream, subjects.work("*", "*"))).limit == 20
    await bus.close()


async def up(store: Path, keep: float) -> tuple[Fleet, JetStream, list[str]]:
    """The server of ``concertino up``, without services, and what is said."""
    said: list[str] = []
    config = Settings(keep=keep)
    fleet = Fleet(config, lambda _, line: said.append(line), store=store, services=())
    await fleet.start(strict=True)
    return fleet, await JetStream.connect(fleet.url, "test", config.subjects), said


async def down(fleet: Fleet, bus: JetStream) -> None:
    await bus.close()
    await fleet.stop(5.0)


@pytest.mark.processes
async def test_up_keeps_tasks_for_as_long_as_it_is_told_and_says_what_changed(tmp_path: Path) -> None:
    subjects = Subjects()
    fleet, bus, said = await up(tmp_path, DAYS)
    await bus.provision(installation(subjects, keep=DAYS), shrinks=False)  # as each service does
    await bus.write_once(subjects.fact("t", "submitted"), b"{}")
    await down(fleet, bus)
    assert said == []
    fleet, bus, said = await up(tmp_path, 3600.0)
    assert said == ["tasks are kept for 3600 s from now on, and no more for 691200 s (CTN_KEEP)"]
    assert (await bus.keeps(subjects.tasks_stream) or ())[0] == 3600.0
    assert len(await bus.read(subjects.tasks_stream, ">")) == 1
    await down(fleet, bus)
    fleet, bus, said = await up(tmp_path, 3600.0)
    assert said == []
    await down(fleet, bus)


@pytest.mark.processes
async def test_up_deletes_no_task_and_names_the_command_that_would(tmp_path: Path) -> None:
    subjects = Subjects()
    fleet, bus, _ = await up(tmp_path, DAYS)
    await bus.provision(installation(subjects, keep=DAYS), shrinks=False)
    await bus.write_once(subjects.fact("t", "submitted"), b"{}")
    [stored] = await bus.read(subjects.tasks_stream, ">")
    await down(fleet, bus)
    await until(lambda: time.time() > stored.time + 2)
    fleet, bus, [line] = await up(tmp_path, 1.0)
    assert "they stay for 691200 s" in line
    assert f"CTN_KEEP=1 CTN_NATS_URL={fleet.url} python -m concertino.runtime.provision" in line
    assert len(await bus.read(subjects.tasks_stream, ">")) == 1
    await down(fleet, bus)
