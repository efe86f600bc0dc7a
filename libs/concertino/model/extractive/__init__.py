"""The model without a model: plans by rules, retrieves, quotes, and says so. The default where no key is set."""

from __future__ import annotations

from concertino.contracts.messages import Plan
from concertino.model.extractive.plan import plan
from concertino.model.extractive.research import research
from concertino.model.extractive.write import write
from concertino.model.port import Answer, Draft, Findings, Hosted, Planning, Research, Writing


class Extractive:
    """The :class:`~concertino.model.port.Model` that needs neither key nor network. Deterministic; costs nothing."""

    name = "extractive"
    hosts: frozenset[Hosted] = frozenset()

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def plan(self, job: Planning) -> Answer[Plan]:
        """A plan by rules: aspects of the request × sources × kinds."""
        return Answer(plan(job))

    async def research(self, job: Research) -> Answer[Findings]:
        """The passages that answer the brief, quoted."""
        return Answer(await research(job))

    async def write(self, job: Writing) -> Answer[Draft]:
        """A report made of quotes."""
        return Answer(write(job))
