"""The provider's rate limit as all workers share it: a key for each model in a bucket, changed by compare-and-set.

It fails open: where the bucket cannot be read, calls are made all the same, within what this process alone knows of the limit.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import math
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import structlog
from msgspec import structs

from concertino.bus.port import Bus
from concertino.contracts import rates
from concertino.contracts.budget import Line
from concertino.contracts.codec import decode
from concertino.contracts.errors import ConcertinoError, Invalid
from concertino.contracts.messages import Usage
from concertino.contracts.rates import Asking, Rates, Wait
from concertino.contracts.subjects import Subjects
from concertino.runtime.clock import Clock
from concertino.telemetry import metrics
from concertino.worker.cell import Cell
from concertino.worker.quoting import ANOTHER_TRY
from concertino.worker.waits import Waits

T = TypeVar("T")

PATIENCE: Mapping[Line, float] = {"work": 5.0, "write_up": 15.0, "report": 30.0}
"""Seconds that a call waits for its turn while its work keeps its slot, by what the call is for. What was sent away before
waits for longer, so that nothing is sent away for ever."""
_OLDEST = 6
"""So many times as long at the most."""
_MARGIN = 1.0
"""Seconds by which it is decided here earlier than by whoever is told."""
_ANSWER = 5.0
"""Seconds for the bus to answer. Less than a busy process may need to hear it would have each go on alone."""
_ALONE = 10.0
"""Seconds for which a bus that did not is not asked again."""
_LAST_WORDS = 1.0

log = structlog.get_logger(__name__)


class Shared:
    """What this process knows of every model's limit, and tells the others. ``monotonic`` gives seconds that never jump."""

    def __init__(self, bus: Bus, subjects: Subjects, monotonic: Clock = time.monotonic) -> None:
        self._bus, self._bucket, self._monotonic = bus, subjects.rates_bucket, monotonic
        self._cells: dict[str, Cell[Rates]] = {}
        self._last: dict[str, Rates] = {}
        """What was known last, by model: what holds while the bus is away."""
        self._notes: defaultdict[str, list[Callable[[Rates], Rates]]] = defaultdict(list)
        self._alone_until = 0.0
        self._saying: set[asyncio.Task[None]] = set()

    async def change(self, model: str, decide: Callable[[Rates], tuple[Rates, T]]) -> T:
        """What ``decide`` finds in what is known of ``model``, and makes of it. It never fails because of the bus."""
        notes = self._notes.pop(model, [])

        def signed(state: Rates) -> tuple[Rates, tuple[Rates, T]]:
            made, found = decide(functools.reduce(lambda noted, note: note(noted), notes, state))
            made = made if made is state else structs.replace(made, by=secrets.token_hex(4))
            return made, (made, found)

        if self._monotonic() >= self._alone_until:
            try:
                async with asyncio.timeout(_ANSWER):
                    self._last[model], found = await self._cell(model).change(signed)
                return found
            except (ConcertinoError, TimeoutError) as e:
                self._alone_until = self._monotonic() + _ALONE
                log.warning("the rate limit cannot be shared for now: each process keeps it alone", model=model, error=str(e))
        _, (self._last[model], found) = signed(self._last.get(model, Rates()))
        return found

    def note(self, model: str, change: Callable[[Rates], Rates]) -> None:
        """What is said with the next change: it can wait."""
        self._notes[model].append(change)

    def say(self, model: str, change: Callable[[Rates], Rates]) -> None:
        """The same, beside whoever says it."""
        self._keep(self.told(model, change))

    async def told(self, model: str, change: Callable[[Rates], Rates]) -> None:
        await self.change(model, lambda state: (change(state), None))

    async def close(self) -> None:
        """Wait for what is still being said, for a moment."""
        if self._saying:
            await asyncio.wait(self._saying, timeout=_LAST_WORDS)

    def _keep(self, doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(doing)
        self._saying.add(task)
        task.add_done_callback(self._saying.discard)

    def _cell(self, model: str) -> Cell[Rates]:
        if model not in self._cells:
            self._cells[model] = Cell(self._bus, self._bucket, _key(model), _read)
        return self._cells[model]


class Limiter:
    """The :class:`~concertino.model.port.Limiter` of one delivery of work of ``kind``: number ``delivery`` of it. What it waits
    is told to ``waits``. A ``hedge`` does not wait: where a provider limits us, another attempt only makes that worse. What
    could not come again in time for its ``deadline`` (Unix seconds) is not sent away."""

    def __init__(
        self, shared: Shared, kind: str, waits: Waits, delivery: int = 1, *, hedge: bool = False, deadline: float = math.inf
    ) -> None:
        self._shared, self._kind, self._waits = shared, kind, waits
        self._times = 0 if hedge else min(delivery, _OLDEST)
        self._stays_from = math.inf if hedge else deadline - ANOTHER_TRY - _MARGIN

    def turn(self, model: str, line: Line, input_tokens: int, requests: int, patience: float | None) -> _Turn:
        if patience is None:
            patience = PATIENCE[line] * self._times
        asking = Asking(secrets.token_hex(6), line, input_tokens, requests, patience)
        return _Turn(self._shared, self._kind, self._waits, model, asking, self._stays_from)


class _Turn:
    def __init__(self, shared: Shared, kind: str, waits: Waits, model: str, asking: Asking, stays_from: float) -> None:
        self._shared, self._kind, self._waits, self._model, self._asking = shared, kind, waits, model, asking
        self._stays_from = stays_from
        self._since: float | None = None
        self._waiting = self._knocks = False

    async def take(self, now: float) -> Wait | None:
        since = self._since = now if self._since is None else self._since
        self._knocks = True
        wait = await self._asked(now, since)
        if wait is not None and not (wait.booked or wait.away) and now + wait.seconds >= self._stays_from:
            self._asking = structs.replace(self._asking, patience=math.inf)
            wait = await self._asked(now, since)
        if wait is None:
            self._ended()
            metrics.RATE_WAIT.labels(self._kind, self._model).observe(max(now - since, 0.0))
        elif wait.booked and not self._waiting:
            self._waiting = True
            self._waits.begin()
        return wait

    async def _asked(self, now: float, since: float) -> Wait | None:
        asking = self._asking
        wait = await self._shared.change(self._model, lambda state: rates.take(state, asking, now))
        if wait is not None and wait.booked and now - since + wait.seconds > 2 * asking.patience:
            wait = structs.replace(wait, booked=False)  # it takes longer than it looked at first
        return wait

    def saw(self, headers: Mapping[str, str], now: float) -> None:
        self._knocks = False
        allowed = rates.allowed(headers)
        self._shared.say(self._model, lambda state: rates.saw(state, self._asking.id, allowed, now))

    async def failed(self, status: int, after: float | None, headers: Mapping[str, str], now: float) -> None:
        self._knocks = False
        metrics.RATE_REFUSALS.labels(self._kind, self._model, status).inc()
        allowed = rates.allowed(headers)
        await self._shared.told(self._model, lambda state: rates.failed(state, self._asking.id, status, after, allowed, now))

    def left(self, now: float) -> None:
        self._ended()
        if self._knocks:
            self._knocks = False
            self._shared.say(self._model, lambda state: rates.left(state, self._asking.id, now))

    def took(self, usage: Usage) -> None:
        counted = usage.input_tokens + usage.cache_write_tokens  # what is read from the cache is not limited
        estimated, output = self._asking.input_tokens, usage.output_tokens
        self._shared.note(self._model, functools.partial(rates.learnt, estimated=estimated, counted=counted, output=output))

    def _ended(self) -> None:
        """Of its waiting, whatever comes then."""
        if self._waiting:
            self._waiting = False
            self._waits.end()


def _key(model: str) -> str:
    """Names of models are no tokens of a subject: those that could not be one are told by their digest."""
    plain = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", model)
    return model if plain else f"sha256-{hashlib.sha256(model.encode()).hexdigest()[:32]}"


def _read(value: bytes | None) -> Rates:
    """What cannot be read is written anew: nothing stands there that the provider's next answer does not say again."""
    try:
        return decode(Rates, value) if value else Rates()
    except Invalid as e:
        log.warning("a rate limit that cannot be read is begun anew", error=str(e))
        return Rates()
