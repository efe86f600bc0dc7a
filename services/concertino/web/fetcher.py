"""Pages as this worker may fetch them: addresses checked, robots.txt obeyed, hosts treated politely, at every redirect anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

import httpx2

from concertino.contracts.errors import SourceError, Transient
from concertino.documents.addresses import Networks
from concertino.documents.fetch import MOST_REDIRECTS, Answered, Fetched, document, elsewhere, once, parse, shown
from concertino.documents.transport import CheckedTransport, Resolve, resolve
from concertino.web.politeness import Hosts, retry_after
from concertino.web.robots import ROBOT, Robots

MOST_SECONDS = 20.0
"""For one answer, from the look-up of its host to its last byte."""
MOST_BYTES = 10 * 1024 * 1024
_ROBOTS_BYTES = 512 * 1024
"""Of robots.txt; the RFC asks for 500 KiB at least."""
_KEPT_SECONDS = 300.0
_KEPT_BYTES = 64 * 1024 * 1024

AGENT = f"{ROBOT}/1 (reads single pages for a person's question; robots.txt: {ROBOT})"


class Fetcher:
    """One for a process: what it knows of hosts, and the pages of the last minutes, are shared by all briefs."""

    def __init__(
        self,
        allowed: Networks = (),
        *,
        resolve: Resolve = resolve,
        hosts: Hosts | None = None,
        seconds: float = MOST_SECONDS,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._transport = CheckedTransport(resolve=resolve, allowed=allowed)
        self._hosts = hosts or Hosts()
        self._robots = Robots(self._rules, clock)
        self._seconds, self._most_bytes = seconds, most_bytes
        self._clock, self._now = clock, now
        self._kept: dict[str, tuple[float, Fetched]] = {}

    async def fetch(self, url: str) -> Fetched:
        """The page at ``url``. Raises what :func:`concertino.documents.fetch.fetch` raises, and :class:`SourceError` where
        its host does not want robots there."""
        at = parse(url).copy_with(fragment=None)
        key, name = str(at), shown(at)
        if found := self._known(key):
            return found
        try:
            for _ in range(MOST_REDIRECTS + 1):
                rules = await self._robots.rules(at)
                rules.check(at)
                answer = await self._ask(at, rules.pause)
                target = elsewhere(answer)
                if target is None:
                    return self._keep(key, document(answer))
                at = target
        except (SourceError, Transient) as e:
            raise e if str(e).startswith(name) else type(e)(f"{name}: {e}") from e
        raise SourceError(f"{name}: over {MOST_REDIRECTS} redirects: give the address where it ends")

    async def close(self) -> None:
        await self._transport.aclose()

    async def _ask(self, url: httpx2.URL, pause: float) -> Answered:
        async with self._hosts.turn(url.host, pause):
            answer = await once(url, self._transport, seconds=self._seconds, most_bytes=self._most_bytes, agent=AGENT)
        return self._heard(answer)

    async def _rules(self, url: httpx2.URL) -> Answered:
        async with self._hosts.turn(url.host, rest=False):
            most = _ROBOTS_BYTES
            answer = await once(url, self._transport, seconds=self._seconds, most_bytes=most, agent=AGENT, cut=True)
        return self._heard(answer)

    def _heard(self, answer: Answered) -> Answered:
        if answer.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
            seconds = retry_after(answer.headers.get("retry-after", ""), self._now())
            self._hosts.leave_alone(answer.url.host, seconds)
        return answer

    def _known(self, key: str) -> Fetched | None:
        until, fetched = self._kept.get(key, (0.0, None))
        return fetched if until > self._clock() else None

    def _keep(self, key: str, fetched: Fetched) -> Fetched:
        now = self._clock()
        self._kept = {k: kept for k, kept in self._kept.items() if kept[0] > now and k != key}
        self._kept[key] = now + _KEPT_SECONDS, fetched
        while sum(len(page.data) for _, page in self._kept.values()) > _KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return fetched
