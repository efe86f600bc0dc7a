"""An installation for the evaluation: the one that is named, or the real server and services, for as long as it lasts."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from concertino.cli.fleet.fleet import Fleet
from concertino.client import Client
from concertino.runtime.settings import settings
from evals.retrieval.product import Product

DRAIN = 10.0
"""Seconds: nothing is in the making when the questions are through."""


@asynccontextmanager
async def product(url: str | None, tell: Callable[[str], None]) -> AsyncIterator[Product]:
    """Concertino on the bus at ``url``, or on a fleet that is started here, whose log goes to ``tell``.

    Raises :class:`~concertino.contracts.errors.Transient` where the services do not come up.
    """
    if url:
        async with Client(url) as client:
            yield Product(client)
        return
    with tempfile.TemporaryDirectory(prefix="concertino-eval-") as store:
        fleet = Fleet(settings(), lambda name, line: tell(f"{name}: {line}"), store=Path(store))
        try:
            await fleet.start(strict=True)
            async with Client(fleet.url) as client:
                yield Product(client)
        finally:
            await fleet.stop(DRAIN)
