"""``python -m concertino.orchestrator``: a coordinator and a planner in one process. Run as many as you like."""

import asyncio
import time

from concertino.bus.port import Bus, Consumption
from concertino.orchestrator.coordinator import Coordinator
from concertino.orchestrator.planner import worker as planner
from concertino.runtime.lifecycle import serve
from concertino.runtime.settings import Settings
from concertino.worker.runtime import Runtime


class Orchestrator:
    """Both halves at work."""

    def __init__(self, triggers: Consumption, planner: Runtime) -> None:
        self._triggers, self._planner = triggers, planner

    async def drain(self, grace: float) -> None:
        """Take nothing new; a plan in the making is finished, or handed back after ``grace`` seconds."""
        await asyncio.gather(self._triggers.stop(), self._planner.drain(grace))


async def start(bus: Bus, settings: Settings) -> Orchestrator:
    """Coordinate first, then announce: whoever sees the planner on the bus can submit."""
    triggers = Coordinator(bus, settings.subjects, time.time).start()
    return Orchestrator(triggers, await planner.start(bus, settings))


if __name__ == "__main__":
    serve("orchestrator", start)
