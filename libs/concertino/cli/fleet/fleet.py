"""An installation on one machine: the NATS server, unless there is one already, and every service as its own process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from concertino.bus.jetstream import JetStream
from concertino.cli.fleet.keeping import keep_as_set
from concertino.cli.fleet.readiness import Readiness
from concertino.cli.fleet.services import ALWAYS, Service, environment
from concertino.cli.fleet.supervisor import OURS, Say, Supervisor, described
from concertino.contracts.errors import ConcertinoError, Transient
from concertino.contracts.subjects import CLIENT
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import MISCONFIGURED, Settings

READY_WITHIN = 60.0
"""Seconds for all services to announce themselves, on a slow and busy machine."""
SERVER_CHECK = 0.5
"""Seconds between looks at whether the embedded server still runs."""
SERVER = "nats"


class NotStarted(Transient):
    """A service ended before it was ready: ``how`` says by what exit status or signal."""

    def __init__(self, service: str, how: str) -> None:
        super().__init__(f"the service {service} did not start ({how})")
        self.service = service
        self.misconfigured = how == described(MISCONFIGURED)


class Fleet:
    """``services`` on one bus: started by :meth:`start`, taken down by :meth:`stop` or, at once, by :meth:`kill`.

    ``url`` names a server that runs already; without it one is embedded, with its data in ``store``, on ``port`` (0: any).
    """

    def __init__(
        self,
        config: Settings,
        say: Say,
        *,
        url: str | None = None,
        store: Path,
        port: int = 0,
        services: Sequence[Service] = ALWAYS,
    ) -> None:
        self._config, self._say, self._url = config, say, url
        self.server = None if url else NatsServer(store, port)
        self._services = tuple(services)
        self._supervisor: Supervisor | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where the bus is. Known once it was started."""
        return self.server.url if self.server else str(self._url)

    @property
    def pids(self) -> dict[str, int]:
        """Service to process, for all that run."""
        server = {SERVER: pid} if self.server and (pid := self.server.pid) else {}
        return {**server, **(self._supervisor.pids if self._supervisor else {})}

    async def start(self, *, strict: bool, within: float = READY_WITHIN) -> None:
        """Start everything, and return when every kind is announced.

        ``strict`` gives up where a service ends in the meantime; else it is started again. Raises :class:`BadSetting` and
        :class:`BusUnavailable` for the server, and :class:`Transient` where the services are not ready in time:
        :class:`NotStarted` where one has ended.
        """
        if self.server:
            await self.server.start()
            self._watch = asyncio.create_task(self._keep_server(self.server))
        config = self._config
        bus = await JetStream.connect(self.url, "fleet", config.subjects, patience=3.0, access=config.access(CLIENT))
        try:
            if self.server:
                await keep_as_set(bus, self.url, config, self._say)
            ready = Readiness(bus, config.subjects, [kind for service in self._services for kind in service.kinds])
            await ready.start()
            self._supervisor = Supervisor(self._services, environment(os.environ, self.url), self._say)
            self._supervisor.start()
            await self._ready(ready, self._supervisor, strict, within)
            await ready.stop()
        finally:
            await bus.close()

    async def stop(self, within: float) -> None:
        """Drain the services, end with force what takes longer than ``within`` seconds, then stop the server."""
        if self._supervisor:
            await self._supervisor.stop(within)
        if self._watch:
            self._watch.cancel()
        if self.server:
            await self.server.stop()

    def kill(self) -> None:
        """End everything at once."""
        if self._supervisor:
            self._supervisor.kill()
        if self._watch:
            self._watch.cancel()
        if self.server:
            self.server.kill()

    async def _ready(self, ready: Readiness, supervisor: Supervisor, strict: bool, within: float) -> None:
        waiting = asyncio.create_task(ready.wait())
        ended = asyncio.create_task(supervisor.ended.get())
        try:
            waited = {waiting, ended} if strict else {waiting}
            await asyncio.wait(waited, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return
            if strict and ended.done():
                raise NotStarted(*ended.result())
            raise Transient(f"not ready after {within:g} s: nobody announced {', '.join(sorted(ready.missing))}")
        finally:
            waiting.cancel()
            ended.cancel()

    async def _keep_server(self, server: NatsServer) -> None:
        while True:
            await asyncio.sleep(SERVER_CHECK)
            if server.pid is None:
                self._say(OURS, "the NATS server ended unexpectedly; starting again on the same port and store")
                try:
                    await server.start()
                except ConcertinoError as e:
                    self._say(OURS, str(e))
