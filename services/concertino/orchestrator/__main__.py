"""``python -m concertino.orchestrator``: a coordinator and a planner in one process. Run as many as you like."""

import asyncio
import time

from concertino.bus.port import Bus, Consumption
from concertino.bus.topology import Topology, coordinator
from concertino.orchestrator.coordinator import Coordinator
from concertino.orchestrator.overdue import Overdue
from concertino.orchestrator.planner import worker as planner
from concertino.orchestrator.queues import QueueWatch
from concertino.orchestrator.resending import Resending
from concertino.orchestrator.stragglers import Stragglers, parse
from concertino.runtime.lifecycle import serve
from concertino.runtime.settings import Settings
from concertino.worker.runtime import Runtime


class Orchestrator:
    """Both halves at work."""

    def __init__(
        self, coordinator: Coordinator, triggers: Consumption, planner: Runtime, queues: QueueWatch, overdue: Overdue
    ) -> None:
        self._coordinator, self._triggers, self._planner = coordinator, triggers, planner
        self._queues, self._overdue = queues, overdue

    @property
    def alive(self) -> bool:
        return self._triggers.alive and self._planner.alive

    @property
    def stuck(self) -> bool:
        return self._planner.stuck

    async def drain(self, grace: float) -> None:
        """Take nothing new; a plan in the making is finished, or handed back after ``grace`` seconds."""
        await asyncio.gather(self._coordinator.stop(), self._planner.drain(grace), self._queues.stop(), self._overdue.stop())


async def start(bus: Bus, settings: Settings) -> Orchestrator:
    """Coordinate first, then announce: whoever sees the planner on the bus can submit."""
    stragglers = Stragglers(parse(settings.hedge))
    await bus.provision(Topology(consumers=(coordinator(settings.subjects),)))
    coordinating = Coordinator(bus, settings.subjects, time.time, settings.max_cost or None, stragglers, settings.keep)
    triggers = coordinating.start()
    running = await planner.start(bus, settings)
    resending = Resending(bus, settings.subjects, time.time, settings.max_cost or None, settings.keep)
    queues = QueueWatch(bus, settings.subjects, on_made=resending.after)
    queues.start()
    overdue = Overdue(bus, settings.subjects)
    overdue.start()
    return Orchestrator(coordinating, triggers, running, queues, overdue)


if __name__ == "__main__":
    serve("orchestrator", start)
