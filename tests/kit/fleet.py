"""A fleet of workers before a provider, all of them pretended, on a clock that costs nothing: what the decisions of
:mod:`concertino.contracts.rates` come to when many follow them, some of them die, and the provider has its days."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from random import Random

from msgspec import Struct

from concertino.contracts import rates
from concertino.contracts.rates import Allowance, Asking, Name, Rates

START = 1_800_000_000.0
_BACKOFF = 1.0
_TRIES = 5


class Provider:
    """A bucket of ``limit`` requests a minute that refills all the time, and is ``filled`` at first. Of what it could take it
    turns a share of ``overloaded`` away (529), at random. For ``closed[1]`` seconds, from ``closed[0]`` on, it turns everything
    away (429). ``headers``: whether it says what is left."""

    def __init__(
        self,
        limit: int,
        *,
        filled: float = 0.0,
        overloaded: float = 0.0,
        closed: tuple[float, float] = (math.inf, 0.0),
        headers: bool = True,
    ) -> None:
        self.limit, self._level, self._at = limit, limit * filled, START
        self._overloaded, self._headers = overloaded, headers
        self.closes, self.opens = START + closed[0], START + closed[0] + closed[1]
        self.taken: list[float] = []
        self.refused: dict[int, list[float]] = {429: [], 529: []}

    def answer(self, now: float, chance: float) -> tuple[int, float | None]:
        """The HTTP status of what is asked ``now``, and for how many seconds it asks to be left alone."""
        self._level, self._at = min(self._level + self.limit / 60 * (now - self._at), self.limit), now
        if self.closes <= now < self.opens:
            return self._refuses(429, now, math.ceil(self.opens - now))
        if self._level < 1:
            return self._refuses(429, now, math.ceil((1 - self._level) * 60 / self.limit))
        if chance < self._overloaded:
            return self._refuses(529, now, None)
        self._level -= 1
        self.taken.append(now)
        return 200, None

    @property
    def allowed(self) -> dict[Name, Allowance]:
        return {"requests": Allowance(self.limit, float(int(self._level)), self.limit / 60)} if self._headers else {}

    def _refuses(self, status: int, now: float, after: float | None) -> tuple[int, float | None]:
        self.refused[status].append(now)
        return status, after


class Came(Struct, frozen=True):
    """What came of it. Times are seconds from the beginning."""

    taken: int
    """Calls that the provider took."""
    refused: dict[int, int]
    """Calls that it turned away, by status."""
    used: float
    """The share of what the provider allowed that was used."""
    standstill: float
    """The longest time in which the provider was asked nothing, though it would have taken calls and there was work."""
    again: float
    """Seconds from the end of its being closed to the first call that it takes."""
    looks: int
    """How often somebody asked for its turn, and changed what is known."""
    returned: int
    """Pieces of work that were handed back, as their turn was too far away."""


class Fleet:
    """``processes`` of ``slots`` each, and ``pieces`` of work without end: three calls each, and a new one comes for each that
    is done. Every ``kills`` seconds a process dies with all that it holds; its work comes again after ``lease`` seconds, and so
    does the process after one."""

    def __init__(
        self,
        provider: Provider,
        *,
        processes: int = 3,
        slots: int = 10,
        pieces: int = 60,
        kills: float = 0.0,
        lease: float = 5.0,
        patience: float = 5.0,
        seed: int = 1,
        limited: bool = True,
    ) -> None:
        self.provider, self.random = provider, Random(seed)
        self.processes, self.slots = processes, slots
        self.lease, self.patience, self.limited, self.kills = lease, patience, limited, kills
        self.state, self.looks, self.returned = Rates(), 0, 0
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._queue: deque[int] = deque(range(pieces))
        self._left = dict.fromkeys(range(pieces), 3)
        self._times = dict.fromkeys(range(pieces), 1)
        self._life = [0] * processes
        self._holds: list[set[int]] = [set() for _ in range(processes)]
        self._up = [True] * processes
        self.now = START

    def run(self, seconds: float) -> Came:
        if self.kills:
            self._in(self.kills, self._kill)
        self._fill()
        end = START + seconds
        while self._events and self._events[0][0] < end:
            self.now, _, do = heapq.heappop(self._events)
            do()
        provider = self.provider
        taken = provider.taken
        asked = sorted([START, *taken, *provider.refused[429], *provider.refused[529], end])
        closed = max(min(provider.opens, end) - provider.closes, 0.0) if provider.closes < end else 0.0
        gaps = [b - a for a, b in itertools.pairwise(asked) if not (a < provider.opens and b > provider.closes)]
        return Came(
            taken=len(taken),
            refused={status: len(times) for status, times in provider.refused.items()},
            used=len(taken) / (provider.limit / 60 * (seconds - closed)),
            standstill=max(gaps),
            again=min((at - provider.opens for at in taken if at >= provider.opens), default=math.inf),
            looks=self.looks,
            returned=self.returned,
        )

    # --- work

    def _in(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), do))

    def _fill(self) -> None:
        while self._queue:
            free = [p for p in range(self.processes) if self._up[p] and len(self._holds[p]) < self.slots]
            if not free:
                return
            process, piece = min(free, key=lambda p: len(self._holds[p])), self._queue.popleft()
            self._holds[process].add(piece)
            self._call(process, self._life[process], piece, 0, None)

    def _back(self, piece: int) -> None:
        self._queue.append(piece)
        self._fill()

    def _kill(self) -> None:
        process = self.random.randrange(self.processes)
        self._life[process] += 1
        self._up[process] = False
        for piece in self._holds[process]:
            self._in(self.lease, lambda piece=piece: self._back(piece))  # type: ignore[misc]
        self._holds[process].clear()
        self._in(1.0, lambda: self._begin(process))
        self._in(self.kills, self._kill)

    def _begin(self, process: int) -> None:
        self._up[process] = True
        self._fill()

    # --- calls

    def _call(self, process: int, life: int, piece: int, tries: int, asking: Asking | None, since: float = 0.0) -> None:
        """As :meth:`Calls._turn` does it."""
        if self._life[process] != life:
            return
        if asking is None:
            patience = self.patience * min(self._times[piece], 6)
            asking, since = Asking(f"c{next(self._order)}", "work", 100, patience=patience), self.now
        if self.limited:
            before = self.state
            self.state, wait = rates.take(self.state, asking, self.now)
            self.looks += self.state is not before
            if wait is not None:
                late = self.now - since + wait.seconds > 2 * asking.patience
                if not wait.booked or wait.away or late:
                    self.state = rates.left(self.state, asking.id, self.now)
                    self._return(process, piece, max(wait.seconds, 1.0) * (1 + self.random.random()))
                    return
                self._in(wait.seconds, lambda: self._call(process, life, piece, tries, asking, since))
                return
        self._in(0.02, lambda: self._ask(process, life, piece, tries, asking))

    def _return(self, process: int, piece: int, seconds: float) -> None:
        self.returned += 1
        self._times[piece] += 1
        self._holds[process].discard(piece)
        self._in(seconds, lambda: self._back(piece))
        self._in(0.0, self._fill)

    def _ask(self, process: int, life: int, piece: int, tries: int, asking: Asking) -> None:
        status, after = self.provider.answer(self.now, self.random.random())
        told = self.provider.allowed
        first = self.random.lognormvariate(0, 0.6) * 0.3 if status == 200 else 0.05
        self._in(first, lambda: self._heard(process, life, piece, tries, asking, status, after, told))

    def _heard(
        self,
        process: int,
        life: int,
        piece: int,
        tries: int,
        asking: Asking,
        status: int,
        after: float | None,
        told: dict[Name, Allowance],
    ) -> None:
        if self._life[process] != life:
            return
        if status == 200:
            self.state = rates.saw(self.state, asking.id, told, self.now)
            self._in(0.5 + self.random.random(), lambda: self._done(process, life, piece))
            return
        self.state = rates.failed(self.state, asking.id, status, after, told, self.now)
        tries += 1
        own = _BACKOFF * 2.0 ** (tries - 1) * (0.5 + self.random.random() / 2)
        if tries >= _TRIES:
            self._return(process, piece, 4.0)
            return
        pause = own if status == 529 or not self.limited else 0.0
        self._in(pause, lambda: self._call(process, life, piece, tries, None))

    def _done(self, process: int, life: int, piece: int) -> None:
        if self._life[process] != life:
            return
        self._left[piece] -= 1
        if self._left[piece]:
            self._call(process, life, piece, 0, None)
            return
        self._left[piece], self._times[piece] = 3, 1
        self._holds[process].discard(piece)
        self._queue.append(piece)
        self._fill()
