"""A server that answers by script, and a model that talks to it without losing time over pauses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from concertino.testing import MessagesApi
from kit.claude import Claude


@pytest.fixture
async def api() -> AsyncIterator[MessagesApi]:
    async with MessagesApi() as server:
        yield server


@pytest.fixture
async def claude(api: MessagesApi) -> AsyncIterator[Callable[..., Claude]]:
    """Makes models: ``claude("web", Config(...), stall=0.5)``. They are closed in the end."""
    made: list[Claude] = []

    def make(kind: str = "docs", *args: object, **options: object) -> Claude:
        made.append(Claude(api, kind, *args, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        await each.model.close()
