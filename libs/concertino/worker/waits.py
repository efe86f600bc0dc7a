"""How long a piece of work had to wait for what is no fault of its own: that is no time that it takes."""

from __future__ import annotations

import time

from concertino.runtime.clock import Clock


class Waits:
    """Of one attempt. Several of its calls may wait at once: that is one wait. ``monotonic`` gives seconds that never jump."""

    def __init__(self, monotonic: Clock = time.monotonic) -> None:
        self._monotonic = monotonic
        self._over, self._waiting, self._since = 0.0, 0, 0.0

    @property
    def seconds(self) -> float:
        """Until now."""
        return self._over + (self._monotonic() - self._since if self._waiting else 0.0)

    def begin(self) -> None:
        if not self._waiting:
            self._since = self._monotonic()
        self._waiting += 1

    def end(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._over += self._monotonic() - self._since
