"""The public face of the runtime: name a kind, describe it, give it a handler, run it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from concertino.bus.port import Bus
from concertino.contracts.messages import Announcement
from concertino.model.choice import model_for
from concertino.model.port import Model
from concertino.runtime import config
from concertino.runtime.lifecycle import Running, serve
from concertino.runtime.settings import Settings
from concertino.worker.handlers import Handler
from concertino.worker.mcp import Servers
from concertino.worker.runtime import Runtime

SLOTS = 4

Adapt = Callable[[Announcement, Settings, Model], Announcement]
"""What a kind says of itself where that depends on the installation."""


class Worker:
    """Serves one kind.

    ``kind`` is its name on the bus: lower case, up to 32 letters, digits, ``-`` or ``_``. ``description`` is what a planner
    reads when it chooses whom to ask. ``sources`` are the kinds of source it reads, ``tools`` are the names of its tools, or
    their names with what each is for in a line, ``slots`` is how much it does at once. ``hedge`` is False where the handler
    changes something in the world, so that a second attempt beside one that is slow would do harm. ``service`` is what its
    process is called, in logs, traces and metrics, where that is not the kind. ``adapt`` makes of all this what is true of one
    installation: its settings and its model.

    A handler that awaits can be interrupted: when its task is cancelled, its time is up, or its replica has to leave. One that
    computes for long belongs into a plain function, which gets a thread of its own and looks at ``context.cancelled`` now and
    then. An async handler must not keep the event loop busy for longer than the lease (``CTN_LEASE``, 15 s): nothing renews its
    lease meanwhile, so the queue takes the replica for dead and gives the work to another. Both then do it and the first result
    counts; but each such delivery is an attempt, and after the last one (``CTN_ATTEMPTS``) the work counts as failed.
    """

    def __init__(
        self,
        kind: str,
        description: str,
        *,
        sources: Sequence[str] = (),
        tools: Sequence[str] | Mapping[str, str] = (),
        slots: int = SLOTS,
        internal: bool = False,
        hedge: bool = True,
        service: str = "",
        adapt: Adapt = lambda announcement, *_: announcement,
    ) -> None:
        self._announcement = Announcement(
            kind=kind,
            description=description,
            replica="",
            slots=slots,
            tools=tuple(tools),
            abilities=dict(tools) if isinstance(tools, Mapping) else {},
            sources=tuple(sources),
            internal=internal,
            hedge=hedge,
        )
        self._service = service or kind
        self._adapt = adapt
        self._handler: Handler | None = None

    @property
    def kind(self) -> str:
        return self._announcement.kind

    def handle(self, handler: Handler) -> Handler:
        """Decorator: what to do with a brief. ``handler(brief, context)`` returns findings; a plain function gets a thread."""
        self._handler = handler
        return handler

    async def start(self, bus: Bus, settings: Settings, model: Model | None = None) -> Runtime:
        """Take work on ``bus`` until drained: for tests, and for several workers in one process."""
        if self._handler is None:
            raise RuntimeError(f"worker {self.kind!r} has no handler: decorate one with @worker.handle")
        # Unique over restarts too: what a predecessor of the same name left behind must not be taken for ours.
        replica = f"{socket.gethostname().split('.')[0]}-{os.getpid()}-{secrets.token_hex(2)}"
        announcement = structs.replace(self._announcement, replica=replica, slots=settings.slots or self._announcement.slots)
        configured = config.load(settings.config)
        owns_model, model = model is None, model or model_for(self.kind, settings, configured)
        announcement = self._adapt(announcement, settings, model)
        servers = Servers.of(self.kind, configured)
        try:
            await servers.start()
            runtime = Runtime(
                announcement,
                self._handler,
                bus=bus,
                model=model,
                settings=settings,
                servers=servers,
                owns_model=owns_model,
            )
            await runtime.start()
        except BaseException:
            await servers.close()
            if owns_model:
                await model.close()
            raise
        return runtime

    def run(self) -> None:
        """Serve until SIGTERM. Settings come from the environment (``CTN_NATS_URL`` and so on)."""

        async def start(bus: Bus, settings: Settings) -> Running:
            return await self.start(bus, settings)

        serve(self._service, start, role=self.kind)
