"""What hosts let robots read (RFC 9309), remembered for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx2
from msgspec import Struct
from protego import Protego

from concertino.contracts.errors import SourceError, Transient
from concertino.documents.fetch import Answered, elsewhere, shown

ROBOT = "Concertino"
"""The name under which robots.txt speaks of us."""

KEPT = 3_600.0
"""Seconds. The RFC allows a day."""
KEPT_UNREACHABLE = 2.0
"""As long as it takes all who wait for the same answer to hear it; another attempt at the work asks anew."""
_MOST_REDIRECTS = 5
_MANY = 500

Get = Callable[[httpx2.URL], Awaitable[Answered]]


class Rules(Struct, frozen=True):
    """Of one origin. ``unreachable`` says why nobody knows them: then nothing may be read."""

    parsed: Protego | None = None
    unreachable: str = ""

    @property
    def pause(self) -> float:
        """Seconds that it wants between two requests."""
        if self.parsed is None:
            return 0.0
        rate = self.parsed.request_rate(ROBOT)
        return max(self.parsed.crawl_delay(ROBOT) or 0.0, rate.seconds / rate.requests if rate and rate.requests else 0.0)

    def check(self, url: httpx2.URL) -> None:
        """:class:`SourceError` where ``url`` may not be read, :class:`Transient` where that is not known."""
        name = shown(url)
        if self.unreachable:
            raise Transient(f"{name}: what its host lets robots read cannot be seen, so nothing is read ({self.unreachable})")
        if self.parsed is not None and not self.parsed.can_fetch(name, ROBOT):
            raise SourceError(f"{name}: its host's robots.txt keeps robots out: save it and give the file")


class Robots:
    """The rules of every origin that was asked for, fetched with ``get``: once for all who ask at the same time."""

    def __init__(self, get: Get, clock: Callable[[], float] = time.monotonic) -> None:
        self._get, self._clock = get, clock
        self._known: dict[str, tuple[float, Rules]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def rules(self, url: httpx2.URL) -> Rules:
        """Those of the origin of ``url``."""
        origin = f"{url.scheme}://{url.netloc.decode()}"
        async with self._asking.setdefault(origin, asyncio.Lock()):
            until, rules = self._known.get(origin, (0.0, Rules()))
            if until <= self._clock():
                rules = await self._fetched(url.copy_with(raw_path=b"/robots.txt", fragment=None))
                self._forget(origin)
                self._known[origin] = self._clock() + (KEPT_UNREACHABLE if rules.unreachable else KEPT), rules
            return rules

    async def _fetched(self, url: httpx2.URL) -> Rules:
        try:
            for _ in range(_MOST_REDIRECTS + 1):
                answer = await self._get(url)
                target = elsewhere(answer)
                if target is None:
                    return await _read(answer)
                url = target
        except Transient as e:
            return Rules(unreachable=str(e))
        except SourceError:
            return Rules()  # refused, or no such host: what is wrong with it, the page's own request will tell
        return Rules()  # redirects without end count as no file

    def _forget(self, origin: str) -> None:
        """What is known of ``origin``, and of the origin asked longest ago where there are too many."""
        self._known.pop(origin, None)
        if len(self._known) >= _MANY:
            del self._known[next(iter(self._known))]
            self._asking = {origin: lock for origin, lock in self._asking.items() if lock.locked() or origin in self._known}


async def _read(answer: Answered) -> Rules:
    if answer.status == 429 or answer.status >= 500:
        return Rules(unreachable=f"{shown(answer.url)}: the server says {answer.status}")
    if answer.status != 200:
        return Rules()
    return Rules(parsed=await asyncio.to_thread(Protego.parse, answer.data.decode("utf-8", "replace")))
