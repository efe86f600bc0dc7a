"""The model port: three skills, each with typed material in and a typed answer out.

A planner plans, a worker researches with tools, a synthesizer writes. An adapter may be a language model behind an API or
no model at all (:mod:`concertino.model.extractive`); the services cannot tell, and need not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from concertino.contracts.budget import Line
from concertino.contracts.messages import (
    Announcement,
    Conflict,
    Evidence,
    Failure,
    Passage,
    Plan,
    Record,
    Severity,
    Share,
    Usage,
    Work,
)
from concertino.contracts.rates import Wait
from concertino.model.wish import Wish

T = TypeVar("T")


Hosted = Literal["web_search"]
"""Tools that run at a model's provider, not with us."""


class Answer(Struct, Generic[T], frozen=True):
    """What the model made of it."""

    value: T
    shortfall: Failure | None = None
    """Why it is less than was asked for; it still counts."""
    prompt: str = ""
    """The prompts that were used, each with its version."""
    model: str = ""
    """Who answered, where that is not the model that was asked."""


class Prompt(Struct, frozen=True):
    """Instructions to a model, from a file beside the service that gives them. See :mod:`concertino.model.prompts`."""

    name: str
    version: str
    text: str

    @property
    def id(self) -> str:
        """How results name it."""
        return f"{self.name}-{self.version}"


class Call(Struct, frozen=True):
    """One call of a model, as it ended: with a stop reason, or with the code of an error."""

    model: str
    usage: Usage
    seconds: float
    ended: str


class Estimate(Struct, frozen=True):
    """What a call that is about to be made may take at the most."""

    model: str
    line: Line
    input_tokens: int
    room: int
    """Tokens that its answer may have. It may be given fewer."""
    input_cost: float = 0.0
    """Dollars, for all but the answer."""
    room_cost: float | None = None
    """Dollars for one token of the answer; None: the model has no price."""


class Reservation(Protocol):
    """The right to make one call."""

    @property
    def room(self) -> int:
        """Tokens that its answer may have."""

    async def settle(self, took: Usage | None) -> None:
        """What the call took in the end. None: nobody saw its end, and it may be charged for."""


class Purse(Protocol):
    """The budget that a job spends from. No call may be made without a reservation."""

    async def reserve(self, estimate: Estimate) -> Reservation:
        """Take what the call may cost. Waits a while for calls under way that may give back what is missing.

        Raises :class:`~concertino.contracts.errors.BudgetSpent` where it is more than there is, and
        :class:`~concertino.contracts.errors.LedgerUnavailable` where nobody can say.
        """


class Turn(Protocol):
    """The place of one call in the line before a provider. ``now`` is Unix seconds."""

    async def take(self, now: float) -> Wait | None:
        """None: the call is made now. Else how long to wait before asking again. Whoever gives up says :meth:`left`."""

    def saw(self, headers: Mapping[str, str], now: float) -> None:
        """The provider takes the call, with these headers."""

    async def failed(self, status: int, after: float | None, headers: Mapping[str, str], now: float) -> None:
        """The provider does not, because it is asked too much (HTTP 429, 529), and asks for ``after`` seconds of peace."""

    def left(self, now: float) -> None:
        """It is over, whatever became of it. After one of the above this says nothing more."""

    def took(self, usage: Usage) -> None:
        """What the call took in the end: so is known what the next one may take."""


class Limiter(Protocol):
    """What the model's provider allows, for all workers together. Every call has a turn, or is not made."""

    def turn(self, model: str, line: Line, input_tokens: int, requests: int, patience: float | None) -> Turn:
        """For a call that may read ``input_tokens`` at the most, in so many ``requests``, and that would wait for ``patience``
        seconds; None: as long as is usual for what it is for."""


class Journal(Protocol):
    """The conversation of a job with a model, kept step by step, so that whoever takes the work over pays for nothing twice.

    Each step has a key that says what was asked. Before it is taken, :meth:`recall` says what came of it before; after it,
    :meth:`keep` writes that down. What is taken in the same order from the same words has the same keys.
    """

    @property
    def resumes(self) -> bool:
        """Whether whoever takes the work over later goes on from here: so it may be handed back in the middle."""

    async def begin(self) -> None:
        """Steps are about to be taken, or recalled. (Of a job that has begun before, nothing.)"""

    def recall(self, key: str) -> Record | None:
        """What came of this step when it was taken before, once for each time; None where it is to be taken now."""

    async def turn(self) -> None:
        """A step is about to be taken. Does not return where the work is to be handed back instead: it is cancelled."""

    def step(self) -> AbstractContextManager[None]:
        """Around a step, to what it came to being kept: nothing interrupts it because the worker leaves."""

    async def keep(self, record: Record) -> None:
        """Write ``record`` down, and what was noted before it."""

    def note(self, record: Record) -> None:
        """Have ``record`` written down with what is kept next: of what costs nothing to be found out again."""


class _Forgetful:
    """Keeps nothing."""

    resumes = False

    async def begin(self) -> None:
        return None

    def recall(self, _: str) -> Record | None:
        return None

    async def turn(self) -> None:
        return None

    def step(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    async def keep(self, record: Record) -> None:
        return None

    def note(self, record: Record) -> None:
        return None


async def _silent(_: str) -> None:
    """For whoever does not want to hear it."""


_UNASKED = Wish()
"""Of who never asks."""


class Hooks(Struct, frozen=True):
    """Who is told what happens while a job is done."""

    on_call: Callable[[Call], None] = lambda _: None
    """After each call of a model, whatever became of it."""
    on_text: Callable[[str], Awaitable[None]] = _silent
    """Each piece of a report as it is written."""
    progress: Callable[[str], Awaitable[None]] = _silent
    """What is happening, in a few words."""
    wish: Wish = _UNASKED
    """To finish: whoever researches then reads no more, and writes up what was read."""
    purse: Purse | None = None
    """What calls are paid from. None: nothing limits them; a task that has a budget is then refused."""
    limiter: Limiter | None = None
    """Whom calls ask for their turn. None: nobody is asked, and each job minds the provider's rate limit alone."""
    journal: Journal = _Forgetful()
    """Where the conversation is kept."""


class ToolSpec(Struct, frozen=True):
    """A tool as a model sees it. ``parameters`` is a JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]
    checks: bool = False
    """Whether it returns :class:`~concertino.model.observation.Checked`: findings as they can be reported."""


class Tools(Protocol):
    """The tools of one piece of work. Whatever passages a call returns are remembered as seen: only they can be quoted."""

    @property
    def specs(self) -> Sequence[ToolSpec]: ...

    @property
    def left(self) -> int | None:
        """Calls that the brief still allows. None: it sets no limit."""

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """What the tool returns.

        Raises :class:`~concertino.contracts.errors.Invalid` for an unknown name or bad arguments, and
        :class:`~concertino.contracts.errors.Refused` where the brief allows no more calls, or this one was made before.
        """

    def again(self, name: str, arguments: dict[str, Any], seen: Sequence[Passage], *, failed: bool) -> None:
        """Count a call as made that was made in an earlier attempt, and returned the passages ``seen``, or failed."""

    def forget(self) -> None:
        """Let calls be made again: their results are out of the model's sight."""


# ----------------------------------------------------------------------------------------------------------------- plan


class Planning(Struct, frozen=True):
    """Which workers there are, and what is to be planned: ``work.gaps`` is set when it is another round."""

    work: Work
    kinds: tuple[Announcement, ...]
    max_subtasks: int
    prompt: Prompt | None = None
    check: Callable[[Plan], Sequence[str]] = lambda _: ()
    """What keeps a plan from being run, in words for its author."""
    hooks: Hooks = Hooks()


# ------------------------------------------------------------------------------------------------------------- research


class Quote(Struct, frozen=True):
    """Literal text of a passage that a tool returned."""

    source: str
    text: str
    root: str = ""
    """The location of the given source that ``source`` is relative to, where several hold one of that name."""


class Claim(Struct, frozen=True):
    """A finding as a model states it, before its quotes are looked up in what was seen."""

    claim: str
    quotes: tuple[Quote, ...] = ()
    quality: Share = 0.5
    """How far the source can be trusted on this: primary and definitive 1, hearsay 0."""
    confidence: Share = 0.5
    """How sure it is that this answers the objective."""
    severity: Severity = ""
    topic: str = ""
    """What sort of finding it is, where findings of one sort are counted together."""
    advice: str = ""
    """What to do about it."""


class Findings(Struct, frozen=True):
    """What research yields: best first, and what was looked for in vain."""

    claims: tuple[Claim, ...] = ()
    gaps: tuple[str, ...] = ()


class Research(Struct, frozen=True):
    """One brief (``work.brief``) and the tools to work on it with."""

    work: Work
    tools: Tools
    prompt: Prompt | None = None
    hosted: frozenset[Hosted] = frozenset()
    """Tools of the model's provider that it may use besides."""
    check: Callable[[Findings], Sequence[str]] = lambda _: ()
    """Which quotes are in nothing that was read, in words for their author."""
    hooks: Hooks = Hooks()


# ---------------------------------------------------------------------------------------------------------------- write


class Exhibit(Struct, frozen=True):
    """Checked evidence with the id it can be cited by, and the claim it was found for. Best first."""

    id: str
    claim: str
    evidence: Evidence
    subtask: str
    quality: float
    confidence: float
    severity: Severity = ""
    topic: str = ""
    advice: str = ""
    around: tuple[str, str] = ("", "")
    """What stands right before and after the quote where it was read."""
    also: tuple[str, ...] = ()
    """What others claimed on the same quote, in other words."""


class WritingPrompts(Struct, frozen=True):
    """What a model is told at each step to a report."""

    digest: Prompt
    """To reduce findings that are too many for one look."""
    weigh: Prompt
    write: Prompt


class Writing(Struct, frozen=True):
    """Everything a report may rest on. ``missing`` names what did not come or could not be read, with the reason: it is told as
    it is."""

    work: Work
    exhibits: tuple[Exhibit, ...]
    assertions: tuple[str, ...] = ()
    """Claims of workers without evidence."""
    gaps: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    kinds: tuple[Announcement, ...] = ()
    """Who could be asked in another round; empty where there is none."""
    prompts: WritingPrompts | None = None
    hooks: Hooks = Hooks()


class Draft(Struct, frozen=True):
    """A report before its citations are checked: ``[id]`` in ``text`` names an exhibit."""

    text: str
    conflicts: tuple[Conflict, ...] = ()
    gaps: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    """The gaps that another round may close."""
    dropped: int = 0
    """What its author referred to and what is no exhibit: left out."""
    verbatim: bool = False
    """Made of quotes, and of claims as they came: no sentence of its own that could say more than what it cites."""


class Model(Protocol):
    """What planner, workers and synthesizer ask. Raises the errors of :mod:`concertino.contracts.errors`."""

    @property
    def name(self) -> str: ...

    @property
    def hosts(self) -> frozenset[Hosted]:
        """The tools that its provider runs."""

    async def close(self) -> None:
        """Let go of connections."""

    async def plan(self, job: Planning) -> Answer[Plan]: ...

    async def research(self, job: Research) -> Answer[Findings]: ...

    async def write(self, job: Writing) -> Answer[Draft]: ...
