"""A service process, from its first line to its last."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from concertino.bus.jetstream import JetStream
from concertino.bus.topology import DAY, installation
from concertino.contracts.subjects import Subjects
from concertino.runtime.lifecycle import COME_AND_NOT_GONE
from concertino.runtime.nats_server import NatsServer

pytestmark = [pytest.mark.processes, pytest.mark.nats]

SERVICE = """
import gc
from concertino.runtime.lifecycle import serve

class Idle:
    alive, stuck = True, False
    async def drain(self, grace):
        print(gc.get_freeze_count(), gc.get_threshold()[0], flush=True)

async def start(bus, settings):
    return Idle()

serve("idle", start)
"""


async def test_what_is_there_at_the_start_is_not_looked_through_for_garbage_again(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVICE),
            env={**os.environ, "CTN_NATS_URL": server.url, "CTN_LOG_FORMAT": "json", "CTN_PORT": "0"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        while b'"ready"' not in (line := await asyncio.wait_for(process.stderr.readline(), 60)):
            assert line, "it ended"
        process.send_signal(signal.SIGTERM)
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    frozen, threshold = (int(word) for word in said.split())
    assert frozen > 10_000
    assert threshold == COME_AND_NOT_GONE
    assert process.returncode == 0


async def test_who_is_started_with_settings_of_its_own_takes_nothing_from_what_others_keep(tmp_path: Path) -> None:
    subjects = Subjects()
    async with NatsServer(tmp_path) as server:

        async def started(**settings: str) -> tuple[float | None, float | None]:
            """A service; how long the log and the queues are kept with it."""
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", SERVICE),
                env={**os.environ, "CTN_NATS_URL": server.url, "CTN_LOG_FORMAT": "json", "CTN_PORT": "0", **settings},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert process.stderr is not None
            while b'"ready"' not in (line := await asyncio.wait_for(process.stderr.readline(), 60)):
                assert line, "it ended"
                said.append(line.decode())
            process.terminate()
            await asyncio.wait_for(process.communicate(), 60)
            return await kept()

        async def kept() -> tuple[float | None, float | None]:
            return (await bus.queued(subjects.tasks_stream, ">")).keep, (await bus.queued(subjects.work_stream, ">")).keep

        said: list[str] = []
        bus = await JetStream.connect(server.url, "test", subjects)
        await bus.provision(installation(subjects, keep=30 * DAY))
        assert await started() == (30 * DAY, 30 * DAY)
        assert "runtime.provision" in "".join(said)
        said.clear()
        assert await started(CTN_KEEP=str(60 * DAY)) == (60 * DAY, 60 * DAY)
        assert said == []
        await bus.provision(installation(subjects))
        assert await kept() == (8 * DAY, 8 * DAY)
        await bus.close()
