"""The wish to finish: whoever looks for more stops, and writes up what there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from concertino.contracts.errors import Finished


class Wish:
    """Of whoever waits for one piece of work. ``asked`` says whether it was voiced."""

    def __init__(self) -> None:
        self.asked = False
        self._scopes: list[asyncio.Timeout] = []

    def voice(self) -> None:
        """Interrupt what is done :meth:`unless_asked`."""
        self.asked = True
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(0.0)

    @asynccontextmanager
    async def unless_asked(self) -> AsyncIterator[None]:
        """Around what is of no use any more then. Raises :class:`Finished`."""
        try:
            async with asyncio.timeout(0.0 if self.asked else None) as scope:
                self._scopes.append(scope)
                try:
                    yield
                finally:
                    self._scopes.remove(scope)
        except TimeoutError as e:
            if not scope.expired():
                raise
            raise Finished("the caller asked to finish") from e
