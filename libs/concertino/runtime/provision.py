"""``python -m concertino.runtime.provision``: make the bus what an installation needs, and leave. Harmless when repeated.

Every service makes what it needs itself, unless it has no right to (``CTN_PROVISION=false``): then this does, as a user that
has. And it makes what must be there before any service: the queues of kinds that are scaled to zero, whose depth an
autoscaler reads (``[kinds.*]`` of the configuration file).
"""

from __future__ import annotations

import asyncio
import os
import sys

import structlog

from concertino.bus.announcements import provide
from concertino.bus.jetstream import JetStream
from concertino.bus.port import Bus
from concertino.bus.topology import installation, queues
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Announcement
from concertino.contracts.subjects import PLAN, PROVISION, SYNTHESIZE
from concertino.runtime.config import Config, load
from concertino.runtime.settings import Settings, settings
from concertino.telemetry import logs

log = structlog.get_logger(__name__)


async def provision(bus: Bus, config: Settings, file: Config) -> None:
    """Streams, consumers and buckets, and which kinds are served on demand."""
    subjects = config.subjects
    await bus.provision(installation(subjects, replicas=config.replicas, keep=config.keep, max_queued=config.max_queued))
    await bus.provision(queues(subjects, [PLAN, SYNTHESIZE, *file.kinds], config.lease))
    await provide(bus, subjects, [_announcement(kind, config, file) for kind in file.kinds])


def _announcement(kind: str, config: Settings, file: Config) -> Announcement:
    said = file.kinds[kind]
    open_ = tuple(f"{alias}_" for alias, server in file.mcp.items() if server.public and kind in server.kinds)
    return Announcement(
        kind=kind,
        description=said.description,
        replica="",
        slots=config.slots or 1,
        tools=said.tools,
        sources=said.sources,
        public=tuple(tool for tool in said.tools if tool.startswith(open_)),
    )


async def _run(config: Settings, file: Config) -> None:
    bus = await JetStream.connect(config.nats_url, "provision", config.subjects, access=config.access(PROVISION))
    try:
        await provision(bus, config, file)
        log.info("provisioned", kinds=sorted(file.kinds))
    finally:
        await bus.close()


def main() -> int:
    """The exit status: 1 where the bus cannot be made so, with the reason on standard error."""
    try:
        config = settings()
        logs.configure("provision", config.log_level, config.log_format)
        asyncio.run(_run(config, load(config.config)))
    except ConcertinoError as e:
        logs.cannot_run("provision", str(e), os.environ.get("CTN_LOG_FORMAT", ""))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
