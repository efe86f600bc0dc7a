"""One attempt at one piece of work, as the runtime passes it through its middleware."""

from __future__ import annotations

from dataclasses import dataclass

from concertino.bus.port import Delivery
from concertino.contracts.messages import Work
from concertino.worker.context import Context


@dataclass(frozen=True, slots=True)
class Job:
    work: Work
    delivery: Delivery
    context: Context
    replica: str
