"""What a conversation takes from the outside world besides the API."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from msgspec import Struct

from concertino.runtime.clock import Clock


class World(Struct, frozen=True):
    """What tests replace: Unix time, seconds that only go forward, pauses, and chance (0 to 1)."""

    clock: Clock = time.time
    monotonic: Clock = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
