"""Manners towards hosts: one request at a time to each, with a pause after it, longer where the host asks for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from concertino.contracts.errors import Transient

PAUSE = 0.5
"""Seconds between two requests to a host that says nothing else."""
MOST_PAUSE = 10.0
"""A crawl delay beyond this is not waited for: then this many seconds it is."""
MOST_WAIT = 30.0
"""A host that wants to be left alone for longer is not asked at all."""
_MANY = 1_000

Sleep = Callable[[float], Awaitable[None]]


class _Host:
    """Whose turn it is, and when the next may be, in seconds of the clock."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.free_at = 0.0


class Hosts:
    """All hosts that a process talks to."""

    def __init__(self, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._pause, self._clock, self._sleep = pause, clock, sleep
        self._hosts: dict[str, _Host] = {}

    @asynccontextmanager
    async def turn(self, name: str, pause: float = 0.0, *, rest: bool = True) -> AsyncIterator[None]:
        """The right to ask host ``name`` once; ``pause`` is what it wants between requests. ``rest`` False: this one needs none
        after it.

        :class:`Transient` where it asked to be left alone for longer than anybody here waits.
        """
        host = self._host(name)
        async with host.lock:
            wait = host.free_at - self._clock()
            if wait > MOST_WAIT:
                raise Transient(f"{name} asked to be left alone for another {wait:.0f} s: try again later")
            if wait > 0:
                await self._sleep(wait)
            try:
                yield
            finally:
                if rest:
                    host.free_at = max(host.free_at, self._clock() + max(self._pause, min(pause, MOST_PAUSE)))

    def leave_alone(self, name: str, seconds: float) -> None:
        """What ``Retry-After`` asks for."""
        host = self._host(name)
        host.free_at = max(host.free_at, self._clock() + seconds)

    def _host(self, name: str) -> _Host:
        if name not in self._hosts and len(self._hosts) >= _MANY:
            now = self._clock()
            self._hosts = {n: host for n, host in self._hosts.items() if host.lock.locked() or host.free_at > now}
        return self._hosts.setdefault(name, _Host())


def retry_after(value: str, now: float) -> float:
    """Seconds that a ``Retry-After`` header asks for; ``now`` in Unix seconds. 0 where it says nothing."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - datetime.fromtimestamp(now, UTC)).total_seconds(), 0.0)
