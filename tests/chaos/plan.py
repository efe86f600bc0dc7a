"""What a run is to do, as data, drawn from its seed alone: which tasks come when, and what breaks when. No I/O.

The same seed and length give the same plan. What the operating system makes of it (who is scheduled when, what was in flight)
is not in the plan: a failing seed is run again under the same faults, and need not fail in the same instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal

from msgspec import Struct

from concertino.contracts.messages import Lane

Shape = Literal[
    "joined",
    "researched",
    "planned",
    "second_round",
    "budget",
    "hurried",
    "cancelled",
    "finished",
    "twice",
    "poison",
    "spoiled",
]
SHAPES: Mapping[Shape, int] = {
    "joined": 6,
    "researched": 6,
    "planned": 5,
    "second_round": 1,
    "budget": 2,
    "hurried": 2,
    "cancelled": 2,
    "finished": 2,
    "twice": 2,
    "poison": 1,
    "spoiled": 2,
}
"""What a task is like, and how often it is. ``joined``: subtasks of a user's own worker, and no report. ``researched``: a
plan of the caller's own, with dependencies, over every kind, and a report. ``planned``: the model plans. ``second_round``:
its report names a gap that another round closes. ``budget``: limited tokens. ``hurried``: less time than it takes.
``cancelled`` and ``finished``: somebody says so while it runs. ``twice``: submitted several times at once under one id.
``poison``: a subtask ends its worker's process each time. ``spoiled``: garbage is written where its facts belong."""

What = Literal["kill", "freeze", "leave", "cut", "deaf", "slow", "kill_server", "kill_leader", "freeze_server", "forget"]
FAULTS: Mapping[What, int] = {
    "kill": 8,
    "freeze": 3,
    "leave": 3,
    "cut": 3,
    "deaf": 2,
    "slow": 2,
    "kill_server": 2,
    "kill_leader": 2,
    "freeze_server": 1,
    "forget": 1,
}
"""What breaks, and how often. ``kill``: SIGKILL of a service. ``freeze``: SIGSTOP, and SIGCONT after ``seconds``. ``leave``:
SIGTERM, as in a rolling restart. ``cut``: its connection is severed. ``deaf``: its connection stands and nothing comes
through to it. ``slow``: everything takes a fifth of a second longer on its way. ``kill_server``: SIGKILL of a NATS server.
``kill_leader``: of the one that leads the log. ``freeze_server``: SIGSTOP of one. ``forget``: a consumer is deleted."""

LASTING: Mapping[What, tuple[float, float]] = {
    "freeze": (1.0, 12.0),
    "deaf": (2.0, 8.0),
    "slow": (3.0, 10.0),
    "freeze_server": (1.0, 4.0),
}
"""Seconds for which it may last, where it does not end by itself."""
OF_SERVERS: tuple[What, ...] = ("kill_server", "kill_leader", "freeze_server", "forget")

MEAN_GAP = 1.5
"""Seconds between tasks, on the average; a tenth of that in the burst."""
FAULT_GAP = (1.5, 4.0)
BURST = 0.08
"""Of the time: so much of it is overload. It is in the first half, so that its tasks can still end."""
OVERLOAD = 10


class Fault(Struct, frozen=True):
    """Something that breaks ``at`` seconds after the beginning. ``whom`` is a service; empty: ``pick`` chooses a server."""

    at: float
    what: What
    whom: str = ""
    seconds: float = 0.0
    pick: int = 0


class Order(Struct, frozen=True):
    """A task that is submitted ``at`` seconds after the beginning. ``seed`` decides the rest of it."""

    at: float
    task: str
    shape: Shape
    lane: Lane
    deadline: float
    seed: int


class Script(Struct, frozen=True):
    """All of one half of a run."""

    orders: tuple[Order, ...]
    faults: tuple[Fault, ...]


def script(
    seed: int, half: int, seconds: float, services: Sequence[str], *, deadline: float = 60.0, pace: float = 1.0
) -> Script:
    """What half number ``half`` of the run ``seed`` does in ``seconds``, to ``services``. ``pace`` stretches the gaps."""
    random = Random(f"{seed}/{half}")
    return Script(_orders(random, seed, half, seconds, deadline, pace), _faults(random, seconds, services, pace))


def _orders(random: Random, seed: int, half: int, seconds: float, deadline: float, pace: float) -> tuple[Order, ...]:
    found: list[Order] = []
    begins = random.uniform(0.1, 0.5) * seconds
    at = random.uniform(0, MEAN_GAP)
    while at < seconds:
        shape = random.choices(list(SHAPES), list(SHAPES.values()))[0]
        burst = begins <= at < begins + BURST * seconds
        lane: Lane = "batch" if burst or random.random() < 0.3 else "interactive"
        time = random.uniform(2.0, 6.0) if shape == "hurried" else deadline
        found.append(
            Order(round(at, 3), f"c{seed}-{half}-{len(found):04}", shape, lane, round(time, 1), random.getrandbits(32))
        )
        at += random.expovariate(1 / (MEAN_GAP * pace)) / (OVERLOAD if burst else 1)
    return tuple(found)


def _faults(random: Random, seconds: float, services: Sequence[str], pace: float) -> tuple[Fault, ...]:
    """Each sort once before any comes again, so that a short run has seen most of them."""
    found: list[Fault] = []
    left: list[What] = []
    at = random.uniform(*FAULT_GAP)
    while at < seconds:
        left = left or _shuffled(random)
        what = left.pop()
        lasts = round(random.uniform(*LASTING[what]), 1) if what in LASTING else 0.0
        whom = "" if what in OF_SERVERS else random.choice(services)
        found.append(Fault(round(at, 3), what, whom, lasts, random.getrandbits(16)))
        at += random.uniform(*FAULT_GAP) * pace
    return tuple(found)


def _shuffled(random: Random) -> list[What]:
    often = [what for what, weight in FAULTS.items() for _ in range(weight - 1)]
    once = list(FAULTS)
    random.shuffle(often)
    random.shuffle(once)
    return [*often, *once]
