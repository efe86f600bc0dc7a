"""What a handler is given besides its brief."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from concertino.bus.announcements import announcements
from concertino.bus.port import Bus
from concertino.contracts.messages import Announcement, Input, Source, Work
from concertino.model.port import Model
from concertino.runtime.settings import Settings
from concertino.worker.evidence import EvidenceLog
from concertino.worker.tools import Toolbox


class Context:
    """One piece of work in the making.

    ``tools`` offers functions to the model and remembers what they return, ``model`` thinks, ``evidence`` turns quotes into
    evidence, ``inputs`` are the results that the brief depends on.
    """

    def __init__(
        self, work: Work, *, bus: Bus, model: Model, settings: Settings, say: Callable[[str], Awaitable[None]]
    ) -> None:
        self.work = work
        self.model = model
        self.settings = settings
        self.evidence = EvidenceLog(bus)
        self.tools = Toolbox(
            allowed=work.brief.tools, max_calls=work.brief.max_calls, on_call=self._on_call, on_seen=self.evidence.saw
        )
        self._bus, self._say = bus, say
        self.doing = ""
        """What was last told of its progress."""
        self.cancelled = False
        """True once nobody wants the result any more. A handler that awaits is interrupted anyway; a thread has to look."""

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.work.sources

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.work.inputs

    async def progress(self, doing: str) -> None:
        """Tell whoever follows the task what is happening now, in a few words."""
        self.doing = doing
        await self._say(doing)

    async def kinds(self) -> list[Announcement]:
        """Who is announced on the bus."""
        return await announcements(self._bus, self.settings.subjects)

    async def blob(self, digest: str) -> bytes | None:
        """What is kept under ``digest``."""
        return await self._bus.get_blob(digest)

    async def _on_call(self, name: str, arguments: dict[str, object]) -> None:
        shown = ", ".join(str(value) for value in arguments.values() if isinstance(value, str) and value)
        await self.progress(f"{name}: {shown}" if shown else name)
