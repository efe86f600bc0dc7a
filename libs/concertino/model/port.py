"""The model port: three skills, each with typed material in and a typed answer out.

A planner plans, a worker researches with tools, a synthesizer writes. An adapter may be a language model behind an API or
no model at all (:mod:`concertino.model.extractive`); the services cannot tell, and need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from concertino.contracts.messages import Announcement, Conflict, Evidence, Plan, Share, Usage, Work

T = TypeVar("T")


class Answer(Struct, Generic[T], frozen=True):
    """What the model made of it, and what that took."""

    value: T
    usage: Usage = Usage()


class ToolSpec(Struct, frozen=True):
    """A tool as a model sees it. ``parameters`` is a JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


class Tools(Protocol):
    """The tools of one piece of work. Whatever passages a call returns are remembered as seen: only they can be quoted."""

    @property
    def specs(self) -> Sequence[ToolSpec]: ...

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """What the tool returns. Raises :class:`~concertino.contracts.errors.Invalid` for an unknown name or bad arguments."""


# ----------------------------------------------------------------------------------------------------------------- plan


class Planning(Struct, frozen=True):
    """Which workers there are, and what is to be planned: ``work.gaps`` is set when it is another round."""

    work: Work
    kinds: tuple[Announcement, ...]
    max_subtasks: int
    prompt: str = ""


# ------------------------------------------------------------------------------------------------------------- research


class Quote(Struct, frozen=True):
    """Literal text of a passage that a tool returned."""

    source: str
    text: str


class Claim(Struct, frozen=True):
    """A finding as a model states it, before its quotes are looked up in what was seen."""

    claim: str
    quotes: tuple[Quote, ...] = ()
    quality: Share = 0.5
    confidence: Share = 0.5


class Findings(Struct, frozen=True):
    """What research yields: best first, and what was looked for in vain."""

    claims: tuple[Claim, ...] = ()
    gaps: tuple[str, ...] = ()


class Research(Struct, frozen=True):
    """One brief (``work.brief``) and the tools to work on it with."""

    work: Work
    tools: Tools
    prompt: str = ""


# ---------------------------------------------------------------------------------------------------------------- write


class Exhibit(Struct, frozen=True):
    """Checked evidence with the id it can be cited by, and the claim it was found for. Best first."""

    id: str
    claim: str
    evidence: Evidence
    subtask: str
    quality: float
    confidence: float


class Writing(Struct, frozen=True):
    """Everything a report may rest on. ``missing`` names the parts that did not come, with the reason."""

    work: Work
    exhibits: tuple[Exhibit, ...]
    assertions: tuple[str, ...] = ()
    """Claims of workers without evidence."""
    gaps: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    prompt: str = ""


class Draft(Struct, frozen=True):
    """A report before its citations are checked: ``[id]`` in ``text`` names an exhibit."""

    text: str
    conflicts: tuple[Conflict, ...] = ()
    gaps: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    """The gaps that another round may close."""


class Model(Protocol):
    """What planner, workers and synthesizer ask. Raises the errors of :mod:`concertino.contracts.errors`."""

    @property
    def name(self) -> str: ...

    async def plan(self, job: Planning) -> Answer[Plan]: ...

    async def research(self, job: Research) -> Answer[Findings]: ...

    async def write(self, job: Writing) -> Answer[Draft]: ...
