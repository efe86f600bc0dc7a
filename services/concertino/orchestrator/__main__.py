"""``python -m concertino.orchestrator``: a coordinator and a planner in one process. Run as many as you like."""

import asyncio
import time
from collections.abc import Sequence

from concertino.bus.port import Bus, Consumption
from concertino.bus.topology import Topology, coordinator
from concertino.contracts.budget import Bounds
from concertino.orchestrator.coordinator import Coordinator
from concertino.orchestrator.overdue import Overdue
from concertino.orchestrator.planner import worker as planner
from concertino.orchestrator.queues import Queues
from concertino.orchestrator.resending import Resending
from concertino.orchestrator.stragglers import Stragglers, parse
from concertino.orchestrator.watch import Watch
from concertino.runtime.lifecycle import serve
from concertino.runtime.settings import Settings
from concertino.worker.runtime import Runtime


class Orchestrator:
    """Both halves at work, and what is looked at beside."""

    def __init__(self, coordinator: Coordinator, triggers: Consumption, planner: Runtime, watches: Sequence[Watch]) -> None:
        self._coordinator, self._triggers, self._planner, self._watches = coordinator, triggers, planner, watches

    @property
    def alive(self) -> bool:
        return self._triggers.alive and self._planner.alive

    @property
    def stuck(self) -> bool:
        return self._planner.stuck

    async def drain(self, grace: float) -> None:
        """Take nothing new; a plan in the making is finished, or handed back after ``grace`` seconds."""
        await asyncio.gather(self._coordinator.stop(), self._planner.drain(grace), *(watch.stop() for watch in self._watches))


async def start(bus: Bus, settings: Settings) -> Orchestrator:
    """Coordinate first, then announce: whoever sees the planner on the bus can submit."""
    stragglers = Stragglers(parse(settings.hedge))
    await bus.provision(Topology(consumers=(coordinator(settings.subjects),)))
    bounds = Bounds(settings.max_cost or None, settings.keep)
    coordinating = Coordinator(bus, settings.subjects, time.time, bounds, stragglers)
    triggers = coordinating.start()
    running = await planner.start(bus, settings)
    resending = Resending(bus, settings.subjects, time.time, bounds)
    watches = (
        Watch("the queues", Queues(bus, settings.subjects, on_made=resending.after).look),
        Watch("timers that are overdue", Overdue(bus, settings.subjects).look),
    )
    for watch in watches:
        watch.start()
    return Orchestrator(coordinating, triggers, running, watches)


if __name__ == "__main__":
    serve("orchestrator", start)
