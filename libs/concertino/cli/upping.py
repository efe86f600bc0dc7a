"""``concertino up``: an installation on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from concertino.cli.fleet.fleet import SERVER, Fleet
from concertino.cli.fleet.logbook import LogView
from concertino.cli.fleet.services import SERVICES, own_workers
from concertino.cli.fleet.supervisor import OURS
from concertino.cli.interrupts import INTERRUPTED
from concertino.cli.session import configuration, given_url
from concertino.contracts.errors import BadSetting
from concertino.model.choice import KEYS, has_key
from concertino.runtime.settings import Settings

PORT = 4222
MARGIN = 5.0
"""Seconds beyond the grace of running work, for a service to say goodbye."""


async def up(*, nats: str | None, port: int | None, store: Path | None, workers: Sequence[str]) -> int:
    """Run everything until told to stop, then drain. Raises the errors of :meth:`Fleet.start`."""
    config = configuration(nats)
    own = own_workers(workers)
    embedding = port is not None or store is not None
    if nats and embedding:
        raise BadSetting(
            f"--port and --store are for the embedded server, and the bus is given ({nats}): leave out one of them"
        )
    url = None if embedding else given_url(nats)  # what is said here counts more than what is set
    store = Path(os.path.abspath((store or Path(config.cache) / "embedded").expanduser()))  # noqa: PTH100 (keeps links)
    view = LogView(Console(stderr=True, highlight=False, markup=False, emoji=False), raw=config.log_format == "json")
    fleet = Fleet(config, view.say, url=url, store=store, port=PORT if port is None else port, services=(*SERVICES, *own))
    stop = asyncio.Event()

    def interrupted() -> None:
        if stop.is_set():
            fleet.kill()
            os._exit(INTERRUPTED)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted)
    stopping = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(fleet.start(strict=False))
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            _welcome(fleet, store if fleet.server else None, _thinks(config))
            await stopping
    finally:
        starting.cancel()
        stopping.cancel()
        running = bool(fleet.pids)  # nothing does where the start failed at once, and the error is all there is to say
        if running:
            view.say(OURS, f"draining, for {config.grace:g} s at most; Ctrl-C again stops at once")
        await fleet.stop(config.grace + MARGIN)
        if running:
            view.say(OURS, "stopped")
    return 0


def _thinks(config: Settings) -> str:
    if config.model != "extractive" and has_key(os.environ):
        return "anthropic"
    return "extractive" if config.model == "extractive" else f"extractive: passages are quoted; with {KEYS[0]} a model reasons"


def _welcome(fleet: Fleet, store: Path | None, model: str) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    services = [f"{name}, pid {pid}" for name, pid in fleet.pids.items() if name != SERVER]
    lines = [
        ("bus", fleet.url + (f", pid {fleet.pids.get(SERVER)}" if store else "")),
        *([("store", str(store))] if store else []),
        *(("" if number else "services", service) for number, service in enumerate(services)),
        ("model", model),
        ("ask", f'concertino ask --nats {fleet.url} "..." --code .'),
        ("stop", "Ctrl-C"),
    ]
    for name, value in lines:
        console.print(Text.assemble((f"{name:>9}  ", "dim"), value), soft_wrap=True)
    sys.stdout.flush()
