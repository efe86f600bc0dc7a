"""What comes in by tools: others wrote it. The one door that it comes in by, before anything is shown, quoted, kept or told.

A model is shown, and evidence keeps, just what has passed here: so a quote still stands word for word in what is kept.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from concertino.contracts.errors import ConcertinoError
from concertino.masking import changed, masked, visible
from concertino.worker.passages import passages

T = TypeVar("T")

_LARGE = 20_000
"""Characters that take long enough for a thread: leases are kept meanwhile."""


async def admitted(returned: Any) -> Any:
    """What a tool ``returned``, without what no reader sees, and without secrets."""
    size = len(returned) if isinstance(returned, str) else sum(len(passage.text) for passage in passages(returned))
    if size > _LARGE:
        return await asyncio.to_thread(cleaned, returned)
    return cleaned(returned)


def cleaned(value: T) -> T:
    """The same at once; ``value`` itself where nothing has to change."""
    return masked(changed(value, lambda text, _: visible(text)))


def clean(error: ConcertinoError) -> None:
    """Clean the text of ``error``: it may repeat what was read."""
    error.args = tuple(cleaned(part) for part in error.args)
