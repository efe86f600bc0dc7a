"""Claude, through the SDK: plans and findings as structured outputs, research by its tool runner, reports with citations."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from concertino.contracts.messages import Plan
from concertino.model.anthropic.defaults import STALL, chosen
from concertino.model.anthropic.world import World
from concertino.model.port import Answer, Draft, Findings, Hosted, Planning, Research, Writing
from concertino.runtime.config import Config

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from concertino.model.anthropic.adapter import Adapter


class Anthropic:
    """The :class:`~concertino.model.port.Model` of one kind of worker. ``config`` says which model that kind thinks with.

    ``environment`` holds the key, and the address where it is not the API's own. Nothing is sent before the first job, nor is
    the SDK loaded: that takes a second of computing, and a fleet on one machine would spend it all at its start.
    """

    hosts: frozenset[Hosted] = frozenset({"web_search"})

    def __init__(
        self,
        kind: str,
        config: Config,
        *,
        environment: Mapping[str, str] | None = None,
        world: World | None = None,
        stall: float = STALL,
        traces: TracerProvider | None = None,
    ) -> None:
        self._choice, self._prices, self._stall, self._traces = chosen(kind, config), config.prices, stall, traces
        self._environment = os.environ if environment is None else environment
        self._world = world or World()
        self._adapter: Adapter | None = None
        self._loading = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._choice.model

    async def plan(self, job: Planning) -> Answer[Plan]:
        return await (await self.loaded()).plan(job)

    async def research(self, job: Research) -> Answer[Findings]:
        return await (await self.loaded()).research(job)

    async def write(self, job: Writing) -> Answer[Draft]:
        return await (await self.loaded()).write(job)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._adapter is not None:
            await self._adapter.close()

    async def loaded(self) -> Adapter:
        """With the SDK, which is loaded beside the event loop: leases are kept meanwhile."""
        async with self._loading:
            if self._adapter is None:
                self._adapter = await asyncio.to_thread(self._load)
            return self._adapter

    def _load(self) -> Adapter:
        from concertino.model.anthropic.adapter import Adapter

        return Adapter(self._choice, self._prices, self._environment, self._world, self._stall, self._traces)
