"""Rate limits as the API has them: buckets that refill all the time, and headers that say what is in them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from msgspec import Struct

from concertino.testing.replies import Fault


class Limits(Struct, frozen=True):
    """Of a minute, for all models together; None: no limit. Input that is read from the cache does not count."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    filled: float = 1.0
    """How much of it is there when the first request comes."""


class Buckets:
    """What is left of ``limits``. A request is taken while there is something in each bucket, and pays when it is answered."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._at: float | None = None
        self._limits: dict[str, int] = {
            name: limit
            for name, limit in (
                ("requests", limits.requests),
                ("input-tokens", limits.input_tokens),
                ("output-tokens", limits.output_tokens),
            )
            if limit is not None
        }
        self._levels = {name: limit * limits.filled for name, limit in self._limits.items()}

    def take(self) -> Fault | None:
        """One request more; or what the API says in its place."""
        self._refilled()
        short = [name for name, level in self._levels.items() if level < 1]
        if short:
            seconds = max((1 - self._levels[name]) / (self._limits[name] / 60) for name in short)
            text = f"This request would exceed the rate limit of your organization: {', '.join(short)} per minute."
            return Fault(429, message=text, headers={"retry-after": str(math.ceil(seconds))})
        self._pay("requests", 1)
        return None

    def pay(self, input_tokens: int, output_tokens: int) -> None:
        """What an answer took."""
        self._pay("input-tokens", input_tokens)
        self._pay("output-tokens", output_tokens)

    def headers(self) -> dict[str, str]:
        """As they stand in every answer."""
        now = self._refilled()
        said = {"date": format_datetime(datetime.fromtimestamp(int(now), UTC), usegmt=True)}
        for name, limit in self._limits.items():
            left = max(self._levels[name], 0.0)
            full = datetime.fromtimestamp(math.ceil(now + (limit - left) / (limit / 60)), UTC)
            said |= {
                f"anthropic-ratelimit-{name}-limit": str(limit),
                f"anthropic-ratelimit-{name}-remaining": str(int(left)),
                f"anthropic-ratelimit-{name}-reset": full.isoformat().replace("+00:00", "Z"),
            }
        return said

    def _pay(self, name: str, amount: int) -> None:
        if name in self._levels:
            self._levels[name] -= amount

    def _refilled(self) -> float:
        """What time it is."""
        before, now = self._at, self._now()
        self._at = now
        for name, limit in self._limits.items():
            passed = 0.0 if before is None else now - before
            self._levels[name] = min(self._levels[name] + limit / 60 * passed, limit)
        return now
