"""What one replica of a kind has, for all who have a part in its work."""

from __future__ import annotations

from msgspec import structs

from concertino.bus.port import Bus
from concertino.bus.tasklog import TaskLog
from concertino.contracts.messages import Announcement
from concertino.model.port import Model
from concertino.runtime.clock import Clock
from concertino.runtime.settings import Settings
from concertino.worker.intake import Intake
from concertino.worker.limiter import Shared
from concertino.worker.mcp import Servers


class Replica:
    """``announcement`` says what it does and how many pieces of work it takes at once, ``servers`` are MCP servers that it may
    use. ``clock`` gives Unix seconds, ``monotonic`` seconds that never jump."""

    def __init__(
        self,
        announcement: Announcement,
        *,
        bus: Bus,
        model: Model,
        settings: Settings,
        clock: Clock,
        monotonic: Clock,
        servers: Servers,
    ) -> None:
        self._announcement = announcement
        self.kind, self.name, self.slots = announcement.kind, announcement.replica, announcement.slots
        self.internal = announcement.internal
        self.bus, self.model, self.settings, self.servers = bus, model, settings, servers
        self.clock, self.monotonic = clock, monotonic
        self.subjects = settings.subjects
        self.log = TaskLog(bus, self.subjects)
        self.intake = Intake(bus, self.subjects, settings.attempts, clock)
        self.limits = Shared(bus, self.subjects)
        self.draining = False
        """Whether it begins nothing any more."""

    def announced(self) -> Announcement:
        """What it says of itself, with the tools that its servers have at the time."""
        abilities, own = self.servers.abilities, self._announcement
        return structs.replace(
            own,
            tools=tuple(dict.fromkeys((*own.tools, *abilities))),
            abilities={**abilities, **own.abilities},
            public=tuple(dict.fromkeys((*own.public, *(tool for tool in self.servers.public if tool not in own.tools)))),
        )

    def may_be_hedged(self) -> bool:
        """Whoever uses servers of others may change something there: that is not done twice at a time."""
        return self._announcement.hedge and not self.internal and not self.servers.abilities
