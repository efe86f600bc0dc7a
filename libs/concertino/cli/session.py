"""One connection to the bus for one command."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass

import msgspec

from concertino.bus.jetstream import JetStream
from concertino.client import Client
from concertino.contracts.errors import BusUnavailable
from concertino.contracts.subjects import CLIENT, Subjects
from concertino.runtime.settings import DEFAULT_URL, Settings, settings
from concertino.telemetry.export import exporting

PATIENCE = 3.0
"""Seconds to wait for a server that is not there (yet)."""
UP = "or run `concertino up`, which keeps its tasks: what an `ask` without a bus brings up, its log included, ends with it"
"""Said to who named no bus and finds none: they may just have asked, and want to look into it."""
FLUSH = 2.0
"""Seconds that somebody at a terminal is kept waiting for a collector of traces."""


@dataclass(frozen=True)
class Session:
    """A client, and the bus below it: for what workers say while they work."""

    client: Client
    bus: JetStream
    subjects: Subjects


def given_url(option: str | None) -> str | None:
    """The bus that the caller named, by ``--nats`` or by ``CTN_NATS_URL``."""
    return option or os.environ.get("CTN_NATS_URL")


def configuration(option: str | None) -> Settings:
    """The settings, with the bus of ``--nats`` where it is given, and logs that leave the terminal alone."""
    from concertino.telemetry import logs

    config = settings()
    # What a command has to say, it says itself; the log is for those who look into it.
    level = config.log_level if "CTN_LOG_LEVEL" in os.environ else "error"
    logs.configure("concertino", level, "human" if config.log_format == "auto" else config.log_format)
    return msgspec.structs.replace(config, nats_url=option) if option else config


def tracing() -> AbstractContextManager[None]:
    """Around a command whose spans are of interest."""
    return exporting("cli", FLUSH)


@asynccontextmanager
async def connect(config: Settings, url: str | None = None) -> AsyncIterator[Session]:
    """A session on ``url``, or on the bus of the settings. Raises :class:`BusUnavailable`."""
    try:
        bus = await JetStream.connect(
            url or config.nats_url, "cli", config.subjects, patience=PATIENCE, access=config.access(CLIENT)
        )
    except BusUnavailable as e:
        if url or config.nats_url != DEFAULT_URL:
            raise
        raise BusUnavailable(f"{e}; {UP}") from e
    try:
        yield Session(Client(config=config, bus=bus), bus, config.subjects)
    finally:
        await bus.close()
