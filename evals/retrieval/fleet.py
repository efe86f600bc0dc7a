"""Services for the evaluation: the real server and one process for each service, for as long as it lasts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from concertino.client import Client
from concertino.contracts.errors import Transient
from concertino.contracts.subjects import PLAN, SYNTHESIZE
from concertino.runtime.nats_server import NatsServer

SERVICES = ("orchestrator", "synthesizer", "code", "docs")
KINDS = frozenset((PLAN, SYNTHESIZE, "code", "docs"))
READY_WITHIN = 60.0
"""Seconds."""

_POLL = 0.05


@asynccontextmanager
async def connected(url: str | None) -> AsyncIterator[Client]:
    """A client of the installation at ``url``, or of one that is started here and ended with the ``async with``.

    Raises :class:`Transient` where the services do not come up.
    """
    async with AsyncExitStack() as stack:
        processes: Mapping[str, subprocess.Popen[bytes]] = {}
        if url is None:
            store = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="concertino-eval-")))
            url = (await stack.enter_async_context(NatsServer(store))).url
            processes = {name: _start(name, url, store, stack) for name in SERVICES}
        client = await stack.enter_async_context(Client(url))
        await _ready(client, processes)
        yield client


def _start(name: str, url: str, logs: Path, stack: AsyncExitStack) -> subprocess.Popen[bytes]:
    log = stack.enter_context((logs / f"{name}.log").open("wb"))
    process = subprocess.Popen(
        [sys.executable, "-m", f"concertino.{name}"],
        env={**os.environ, "CTN_NATS_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    stack.push_async_callback(_end, process)
    return process


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, 30)
    except subprocess.TimeoutExpired:
        process.kill()


async def _ready(client: Client, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    missing = KINDS
    try:
        async with asyncio.timeout(READY_WITHIN):
            while missing := KINDS - {worker.kind for worker in await client.workers()}:
                for name, process in processes.items():
                    if process.poll() is not None:
                        raise Transient(f"the service {name} ended with {process.returncode}: start it by hand to see why")
                await asyncio.sleep(_POLL)
    except TimeoutError as e:
        raise Transient(f"no worker announces {', '.join(sorted(missing))}: is the installation complete?") from e
