"""Waiting for what has to happen, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE = 90.0
"""Seconds after which what did not happen never will, on however busy a machine. Only a test that fails waits for so long."""


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str = "", seconds: float = PATIENCE) -> None:
    """Return once ``condition`` holds; fail, naming ``what``, where it does not within ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                holds = condition()
                if await holds if isinstance(holds, Awaitable) else holds:
                    return
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"did not happen within {seconds:g} s: {what or condition}") from None
