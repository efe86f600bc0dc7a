"""The life of a service process: settings, log, connection, work; then, on SIGTERM, drain and leave."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Protocol

import structlog
import uvloop

from concertino.bus.jetstream import JetStream
from concertino.bus.port import Bus
from concertino.bus.topology import installation
from concertino.contracts.errors import BadSetting, ConcertinoError
from concertino.masking import learn
from concertino.runtime.probes import Probes
from concertino.runtime.settings import MISCONFIGURED, Settings, settings
from concertino.telemetry import logs, metrics
from concertino.telemetry.export import exporting

LAST_WORDS = 5.0
"""Seconds for threads and tasks of a service that has stopped: for spans and metrics that are still to be sent, above all."""

COME_AND_NOT_GONE = 10_000
"""Objects, after which the garbage collector looks for circles among them. A hundred pieces of work at once are as many."""

log = structlog.get_logger(__name__)


class Running(Protocol):
    """A service at work."""

    @property
    def alive(self) -> bool:
        """Whether work can reach it."""

    @property
    def stuck(self) -> bool:
        """Whether only a new process can help."""

    async def drain(self, grace: float) -> None:
        """Take nothing new; finish what runs, or hand it back after ``grace`` seconds."""


def serve(name: str, start: Callable[[Bus, Settings], Awaitable[Running]], role: str = "") -> None:
    """Run the service ``name`` until it is told to stop. ``role`` is whose permissions it has on the bus, if not its own.

    Exits with :data:`.MISCONFIGURED` where a setting is wrong, with 1 where it cannot start else or loses the bus for good.
    """
    try:
        config = settings()
        learn(config.secrets(), forever=True)
        logs.configure(name, config.log_level, config.log_format)
        with exporting(name):
            uvloop.run(_serve(name, config, start, role or name))
    except ConcertinoError as e:
        logs.cannot_run(name, str(e), os.environ.get("CTN_LOG_FORMAT", ""))
        sys.exit(MISCONFIGURED if isinstance(e, BadSetting) else 1)


async def _serve(name: str, config: Settings, start: Callable[[Bus, Settings], Awaitable[Running]], role: str) -> None:
    stop = asyncio.Event()
    lost = False

    def closed() -> None:
        nonlocal lost
        lost = not stop.is_set()
        stop.set()

    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stop.set)
    bus = await JetStream.connect(
        config.nats_url, name, config.subjects, closed=closed, access=config.access(role), provisions=config.provision
    )
    if config.provision:
        await bus.provision(
            installation(config.subjects, replicas=config.replicas, keep=config.keep, max_queued=config.max_queued),
            shrinks=False,  # who is started beside others, with settings of its own, takes nothing from them
        )
        await bus.keep_provisioned()
    release = version("concertino")
    await bus.answer_discovery(name, release)  # before it is announced: who sees it there may ask at once
    service = await start(bus, config)
    metrics.BUILD.labels(name, release).set(1)
    metrics.CONNECTED.set_function(lambda: bus.connected)
    probes = Probes(lambda: _missing(bus, service, stop), lambda: service.stuck)
    if config.port:
        await probes.start("", config.port)
    _spare_the_collector()
    log.info("ready", pid=os.getpid())
    await stop.wait()
    if lost:
        log.error("the NATS server ended the connection for good")
        sys.exit(1)
    log.info("draining")
    await service.drain(config.grace)
    await bus.close()
    await probes.stop()
    log.info("stopped")
    _leave_within(LAST_WORDS)


def _spare_the_collector() -> None:
    """What is there when a service is ready stays, and what comes with work is freed as that ends, without a collector: to have
    it look through all of that again and again took a quarter of the time of a worker that had much quick work."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COME_AND_NOT_GONE)


def _leave_within(seconds: float) -> None:
    """End the process in any case: a thread that never ends would keep it for ever, and so would a task that cannot be
    cancelled. What they were at was handed back."""

    def leave() -> None:
        threads = [thread.name for thread in threading.enumerate() if not thread.daemon]
        log.warning("something does not end; leaving without it", threads=threads)
        logging.shutdown()
        os._exit(0)

    leaving = threading.Timer(seconds, leave)
    leaving.daemon = True
    leaving.start()


def _missing(bus: Bus, service: Running, stop: asyncio.Event) -> str:
    """Why no work can be taken; empty where it can."""
    if stop.is_set():
        return "draining"
    if not bus.connected:
        return "no connection to NATS"
    return "" if service.alive else "nothing comes from the queue's consumer"
