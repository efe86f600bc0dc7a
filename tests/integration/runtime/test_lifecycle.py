"""A service process, from its first line to its last."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

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
