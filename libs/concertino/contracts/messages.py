"""Every message on the bus, as frozen structs.

Rules that keep old and new releases talking: fields are only added, always with a default; a field never changes its
meaning or type; readers ignore what they do not know; defaults are left out when written. Payloads are JSON. Times are
Unix seconds (UTC), durations are seconds, sizes are bytes, costs are US dollars.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from concertino.contracts.errors import NotFinite

Effort = Literal["auto", "low", "medium", "high"]
Lane = Literal["interactive", "batch"]
Name = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
Kind = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,31}$")]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Dollars = Annotated[float, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0, le=7 * 86400)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Severity = Literal["", "info", "low", "medium", "high", "critical"]
"""How much harm a finding points at; empty where that is not what the finding is about."""

DEADLINE = 600.0
"""Seconds a task may take where the caller sets none: every task ends."""
LONGEST_OBJECTIVE = 20_000
"""Characters of what one worker is to find out. What a caller asks for may be longer."""
WRITING_UP = 20.0
"""Seconds for whoever is at work on a subtask to write up what there is, once the caller has asked to finish."""


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all: frozen, defaults left out on the wire, unknown fields ignored when read."""


def _finite(**limits: float | None) -> None:
    """Raise :class:`NotFinite` for the first of ``limits`` that would be written as if there were none."""
    for name, limit in limits.items():
        if limit is not None and not math.isfinite(limit):
            raise NotFinite(f"{name} is {limit}, and a limit is a finite number: leave it out where there is to be none")


# ---------------------------------------------------------------------------------------------------------------- task


class Source(Message, frozen=True, kw_only=True):
    """Material that the caller points at. ``location`` is a path, a URL or a git URL; ``kind`` says who reads it."""

    kind: Kind
    location: Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
    ref: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """A branch, tag or commit, for a git URL."""


class Limits(Message, frozen=True, kw_only=True):
    """What a task may use. Nothing in a plan can widen them."""

    deadline: Seconds = DEADLINE
    """Seconds from submission to outcome. An installation may set a lower one, which its log outlasts."""
    max_tokens: Count | None = None
    """Of all calls of models together, each token counted once, read or written. No call is made that might exceed it."""
    max_cost: Dollars | None = None
    """The same in US dollars. An installation may set a lower one."""
    max_subtasks: Count | None = None
    """Over all rounds. Unset: 20 for a planner, 10,000 for a plan that the caller brings."""
    max_rounds: Annotated[int, Meta(ge=1, le=10)] = 2
    max_queued: Seconds | None = None
    """Seconds that planning or a subtask may wait for a worker, from when nothing else holds it. What nobody has begun by then
    has failed, and the task goes on without it. Unset: until the time of the task is up."""
    effort: Effort = "auto"
    model: Annotated[str, Meta(pattern="^[!-~]{0,128}$")] = ""
    """The model to ask for all of the task, in the place of those that are configured, and of their fallbacks. Empty: those."""

    def __post_init__(self) -> None:
        # All at once, as each piece of work carries them; and one by one where one of them is not.
        if not math.isfinite((self.deadline or 0.0) + (self.max_cost or 0.0) + (self.max_queued or 0.0)):
            _finite(deadline=self.deadline, max_cost=self.max_cost, max_queued=self.max_queued)


# Plans of thousands are made and read, and hold no cycles: the garbage collector (of a caller, too) need not look there.
class Subtask(Message, frozen=True, kw_only=True, gc=False):
    """A bounded, self-contained brief for one worker of one kind."""

    id: Name
    kind: Kind
    objective: Annotated[str, Meta(min_length=1, max_length=LONGEST_OBJECTIVE)]
    why: str = ""
    expected_output: str = ""
    boundaries: str = ""
    """What the siblings do and this one therefore leaves alone."""
    starting_points: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    """Sources that count more than others."""
    sources: tuple[Source, ...] | None = None
    """Unset: every source of the task whose kind is this subtask's."""
    tools: tuple[str, ...] | None = None
    """Unset: every tool of the kind."""
    max_calls: Count | None = None
    """Tool calls at the most."""
    max_tokens: Count | None = None
    """Of what the task may spend: the most that this subtask may."""
    max_cost: Dollars | None = None
    """The same in US dollars."""
    max_seconds: Seconds | None = None
    """From when a worker first begins it, other attempts included; what it waits in its queue does not count."""
    effort: Effort = "auto"
    depends_on: tuple[Name, ...] = ()
    params: dict[str, Any] = {}
    """Whatever else a kind of your own needs."""
    role: str = ""
    """For a kind that takes on roles (``general``): who it is for this one subtask, as in "a tax lawyer"."""
    instructions: str = ""
    """For such a kind: how that role goes about it."""

    def __post_init__(self) -> None:
        if self.max_cost is not None or self.max_seconds is not None:  # not for each of thousands
            _finite(max_cost=self.max_cost, max_seconds=self.max_seconds)

    @property
    def work_id(self) -> str:
        """Of its work, and the name of its result. The kind is in it so that the server can keep kinds from each other's."""
        return f"result.{self.kind}.{self.id}"


class Plan(Message, frozen=True, kw_only=True):
    """Which subtasks, in what order, and why: one per round."""

    subtasks: tuple[Subtask, ...]
    why: str = ""
    synthesize: bool = True
    """False: the caller wants the results joined, and no report."""


class Submitted(Message, frozen=True, kw_only=True):
    """A task: what a caller asks for. ``ctn.task.<task>.submitted``."""

    request: Annotated[str, Meta(min_length=1, max_length=100_000)]
    sources: tuple[Source, ...] = ()
    limits: Limits = Limits()
    lane: Lane = "interactive"
    plan: Plan | None = None
    """A plan of the caller's own, for the first round. A planner is asked only if the report names gaps that another round may
    close; ``limits.max_rounds`` of 1 rules that out."""
    until: Literal["plan", "report"] = "report"
    """Where to stop: with the plan alone, nothing run, or with the report."""
    done: tuple[Done, ...] = ()
    """Results that the task starts with: of subtasks of ``plan``, which are not run then. Others count for nothing."""
    again: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{0,64}$")] = ""
    """The task that this one runs again, and whose results ``done`` are."""


# ------------------------------------------------------------------------------------------------------------ evidence


class Locator(Message, frozen=True, kw_only=True):
    """Where in a source: exactly one field is set."""

    lines: tuple[int, int] | None = None
    """First and last line, counted from 1, both included."""
    page: int | None = None
    """Counted from 1."""
    fragment: str | None = None
    """An anchor, a heading path, a cell or a JSON pointer: whatever the format has."""


class Passage(Message, frozen=True, kw_only=True):
    """A piece of a source as it was read: what tools return and what evidence is made of.

    ``text`` is literal: for files of lines it is lines ``a`` to ``b`` joined by ``\\n``; for formats that must be extracted
    (PDF, HTML, DOCX) it is the extracted text.
    """

    source: str
    """A path relative to the given source, with forward slashes, or a URL."""
    text: str
    locator: Locator
    root: str = ""
    """The location of the given source that the path ``source`` is relative to; empty for a URL."""
    title: str = ""
    """Heading path, qualified symbol, or operation: the names this passage goes by."""
    role: Literal["text", "definition", "test", "changelog", "example", "generated", "data"] = "text"
    """What part the passage plays in its source: ranking puts tests and changelogs below what they are about."""
    language: str = ""
    """Programming language, in lower case; empty for prose."""


class Evidence(Message, frozen=True, kw_only=True):
    """A quote, and where its evidence is kept: ``blob(digest)[span[0]:span[1]] == quote``, in characters."""

    digest: Digest
    span: tuple[int, int]
    source: str
    locator: Locator
    quote: str
    root: str = ""
    """As in the :class:`Passage` that it quotes."""


class Finding(Message, frozen=True, kw_only=True):
    """One claim with its evidence. Without evidence it is an assertion of the worker, and is reported as one."""

    claim: str
    evidence: tuple[Evidence, ...] = ()
    quality: Share = 0.5
    """How far the source can be trusted on this: primary and definitive 1, hearsay 0."""
    confidence: Share = 0.5
    """How sure the worker is that this answers its objective."""
    severity: Severity = ""
    topic: str = ""
    """What sort of finding it is, in a word or two, where findings of one sort are counted together."""
    advice: str = ""
    """What to do about it, where something is to be done."""


class Citation(Message, frozen=True, kw_only=True):
    """A checked quote of the report. ``id`` is what stands in the text, as ``[id]``."""

    id: str
    source: str
    locator: Locator
    quote: str
    digest: Digest | None = None
    root: str = ""
    """As in the :class:`Passage` that it quotes."""


class Position(Message, frozen=True, kw_only=True):
    """One side of a conflict."""

    claim: str
    citations: tuple[str, ...] = ()


class Conflict(Message, frozen=True, kw_only=True):
    """Findings that cannot both be true, and what the synthesizer made of it."""

    statement: str
    positions: tuple[Position, ...]
    resolution: str = ""
    """Empty where both sides stand."""
    why: str = ""


class Report(Message, frozen=True, kw_only=True):
    """The synthesizer's answer. ``text`` is Markdown."""

    text: str
    citations: tuple[Citation, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    gaps: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    """The gaps that another round may close."""
    checked: int = 0
    """Quotes that stand, word for word, in what workers kept as evidence: all that could be cited."""
    dropped: int = 0
    """What failed a check and is not used: quotes, and what cites nothing."""
    marked: int = 0
    """Sentences that are marked in the text: a figure or a name in them stands in none of the quotes that they cite."""


# ------------------------------------------------------------------------------------------------------------- results


MOST = 10**12
"""Of anything that is counted: beyond what can be true, and within what every reader of JSON takes."""
Tally = Annotated[int, Meta(ge=0, le=MOST)]
Measure = Annotated[float, Meta(ge=0, le=MOST)]


class Usage(Message, frozen=True, kw_only=True):
    """What was spent. Input tokens are counted once: as read anew, as written to the provider's cache, or as read from it."""

    model_calls: Tally = 0
    input_tokens: Tally = 0
    output_tokens: Tally = 0
    cost_usd: Measure = 0.0
    cache_write_tokens: Tally = 0
    cache_read_tokens: Tally = 0
    web_searches: Tally = 0
    """Searches that the model's provider made and charges for."""
    unpriced_calls: Tally = 0
    """Calls of models that have no price: ``cost_usd`` does not contain them."""

    def __add__(self, other: Usage) -> Usage:
        """A sum stops at :data:`MOST`, so that it can be read where what it is made of can."""
        return Usage(**{name: min(getattr(self, name) + getattr(other, name), MOST) for name in self.__struct_fields__})

    def __sub__(self, other: Usage) -> Usage:
        """What is left, and nothing where it would be less than that."""
        return Usage(**{name: max(getattr(self, name) - getattr(other, name), 0) for name in self.__struct_fields__})


class Amount(Message, frozen=True, kw_only=True):
    """Of a budget."""

    tokens: int = 0
    """Read or written, from a cache or not."""
    cost: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(tokens=self.tokens + other.tokens, cost=self.cost + other.cost)


class Hold(Message, frozen=True, kw_only=True):
    """What is taken from a budget for one call of a model, until it is known what the call took."""

    id: str
    work: str
    """The work that the call is for; with ``attempt`` and ``delivery`` it says who made it."""
    attempt: int
    delivery: int
    amount: Amount
    own: bool = False
    """Whether that work has a budget of its own."""
    over: bool = False
    """True once nobody will say any more what the call took: it counts as it was taken."""


class Ledger(Message, frozen=True, kw_only=True):
    """In the bucket ``ctn_budget``, under the task: what of its budget is spent, and what is taken."""

    spent: Amount = Amount()
    holds: tuple[Hold, ...] = ()
    works: dict[str, Amount] = {}
    """What is spent by work that has a budget of its own."""
    by: str = ""
    """Who wrote it last: no two ledgers are alike."""


class Failure(Message, frozen=True, kw_only=True):
    """Why something failed: a code of :mod:`concertino.contracts.errors`, and a text that says what to do."""

    code: str
    message: str
    retryable: bool = False


class ResultStatus(StrEnum):
    COMPLETE = "complete"
    PARTIAL = "partial"
    FAILED = "failed"


COORDINATOR = "coordinator"
"""The ``worker`` of what no worker ended, but a limit of time."""


class Settled(Message, frozen=True, kw_only=True):
    """What all work has in common when it is done: how it ended, who did it, and what it took."""

    status: ResultStatus = ResultStatus.COMPLETE
    error: Failure | None = None
    attempts: int = 1
    worker: str = ""
    """The replica that did it."""
    seconds: Measure = 0.0
    """From its start by the attempt that ended it."""
    hedge: bool = False
    """Whether a second attempt beside a slow first brought it."""
    cold: bool = False
    """Whether its worker's process had not done anything yet when it began: ``seconds`` include what that had to load."""
    model: str = ""
    """Who thought: a model's name, several joined by ``+``, or ``extractive``."""
    prompt: str = ""
    """The prompts that were used, each with its version: ``research-1 web-2``."""
    usage: Usage = Usage()
    spent: dict[str, Usage] = {}
    """``usage`` by model."""


class Planned(Settled, frozen=True, kw_only=True):
    """``ctn.task.<task>.plan.<round>``, by a planner."""

    plan: Plan | None = None


class Result(Settled, frozen=True, kw_only=True):
    """``ctn.task.<task>.result.<kind>.<subtask>``, by the first attempt that ends."""

    findings: tuple[Finding, ...] = ()
    gaps: tuple[str, ...] = ()
    """What was looked for in vain."""
    notes: tuple[str, ...] = ()
    """What a reader of the report should know, such as material that could not be read."""


class Done(Message, frozen=True, kw_only=True):
    """A result of an earlier task, for one that begins with it."""

    work: str
    """The work id of its subtask, which is the same in both."""
    result: Result


class Synthesized(Settled, frozen=True, kw_only=True):
    """``ctn.task.<task>.synthesis.<round>``, by a synthesizer."""

    report: Report | None = None


class Dispatched(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.dispatched.<wave>``, by a coordinator: this work is in its queues, acknowledged."""

    work: tuple[tuple[str, int], ...]
    """Work ids and attempts. Attempt 2 is a hedge: it is sent beside the first, which is slow, and not after it."""
    hedge_after: dict[str, Annotated[float, Meta(gt=0)]] = {}
    """By kind: seconds of work after which its subtasks in this wave are slow. Kinds that are not hedged are left out."""


class Returned(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.returned.<work id>.<delivery>``, by a worker that leaves: that delivery was not the work's fault, and
    does not count as an attempt."""

    worker: str = ""


class Begun(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.begun.<work id>.<delivery>``, by a worker, of an attempt that takes a second or more. What is
    quicker is told by what ends it."""

    worker: str = ""
    attempt: int = 1
    seconds: Measure = 0.0
    """For which it has gone on."""
    hedge: bool = False
    """Whether another attempt may be made beside it. False: what it does is not to be done twice, or the release is older."""


class Spent(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.spent.<work id>.<delivery>``, by a worker: what an attempt took that brought no result, because it is
    tried again, was handed back or cancelled, or because another was first."""

    worker: str = ""
    why: str = ""
    code: str = ""
    """Of the error that it ended in: :mod:`concertino.contracts.errors`. Empty where it ended in none."""
    category: str = ""
    """Of the error: transient, overloaded, invalid, refused or bug. It decides whether and when there is another attempt."""
    attempt: int = 0
    """0: the log of an older release, which did not say."""
    seconds: Measure = 0.0
    """From its start to its end."""
    usage: Usage = Usage()
    spent: dict[str, Usage] = {}
    """``usage`` by model."""


class Record(Message, frozen=True, kw_only=True):
    """One step of a conversation with a model: what came of what was asked."""

    key: str
    """What was asked, digested. The same may be asked more than once: then the order counts."""
    value: Any = None
    """What came of it, in a form that only whoever wrote it needs to know."""
    error: Failure | None = None
    """Why nothing came of it. The conversation went on."""
    answer: bool = False
    """Whether a model said it."""
    part: bool = False
    """Whether it is a piece of an answer under way."""
    spent: dict[str, Usage] = {}
    """What was paid for it, by model."""


class Checkpoint(Message, frozen=True, kw_only=True):
    """``ctn.checkpoint.<task>.<work id>.<attempt>.<n>``, by a worker that asks a model: the next steps of its conversation, so
    that whoever takes the work over goes on from there. Without any it says that a delivery goes on from what stands before."""

    worker: str
    delivery: int
    records: tuple[Record, ...] = ()
    left: Literal["", "handed_back", "tried_again"] = ""
    """Whether that delivery ended with this, and how. What it paid for stands in the task's log then (``spent``)."""
    doubted: bool = False
    """Whether the last answer is what it failed of: it is not used again."""


class Cancel(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.cancel``, by a client."""

    reason: str = ""


class Finish(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.finish``, by a client: stop here, and write up what there is."""

    reason: str = ""


class Again(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.again.<other task>``, by a client: the other task runs again what failed in this one."""

    subtasks: tuple[Name, ...] = ()
    """Those that it runs. None where only planning or the report is made anew."""


class OutcomeStatus(StrEnum):
    ANSWERED = "answered"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.outcome``: the one terminal fact, by a coordinator."""

    status: OutcomeStatus
    reason: str
    report: Report | None = None
    findings: tuple[Finding, ...] = ()
    """What was found, where a report was wanted and there is none: as workers brought it. Nobody has checked its quotes."""
    usage: Usage = Usage()
    max_tokens: int | None = None
    """What the task was allowed to spend."""
    max_cost: float | None = None
    """The same in US dollars: what the caller or the installation set, whichever is less."""


class Halted(Message, frozen=True, kw_only=True):
    """``ctn.task.<task>.halted``, by a coordinator, after the outcome: work of the task that is not done yet is of no use any
    more. It is what workers look at, who may not read an outcome; a task whose work is all done has none."""


# ---------------------------------------------------------------------------------------------------------------- work


class Input(Message, frozen=True, kw_only=True):
    """An earlier result, as a later piece of work receives it."""

    subtask: Subtask
    result: Result | None
    """None: nothing came before the join closed."""
    why: str = ""
    """Why there is none, in words for the report."""


class Work(Message, frozen=True, kw_only=True):
    """``ctn.work.<lane>.<kind>``: one attempt at one piece of work; everything a worker needs, in one message.

    ``id`` is also where the result belongs in the log: ``plan.0``, ``result.<kind>.<subtask>``, ``synthesis.1``.
    """

    task: Name
    id: str
    attempt: int
    request: str
    brief: Subtask
    """What to do. For planning and synthesis the brief of the round."""
    sources: tuple[Source, ...] = ()
    """Those that the brief may read."""
    limits: Limits = Limits()
    deadline: float
    """Unix seconds at which a result is of no use any more."""
    inputs: tuple[Input, ...] = ()
    """Results of ``depends_on``; for synthesis every result; for another round's plan every result so far."""
    gaps: tuple[str, ...] = ()
    """For the plan of another round: what it is to close."""
    unread: tuple[str, ...] = ()
    """For synthesis: which of the caller's sources no subtask was to read, in words for the report."""


# --------------------------------------------------------------------------------------------------- not in any stream


class Progress(Message, frozen=True, kw_only=True):
    """``ctn.progress.<task>.<work id>``: what is happening now. Not stored."""

    doing: str
    at: float
    work: str = ""
    """The work's id, as in the subject."""
    attempt: int = 1
    worker: str = ""
    text: str = ""
    """The next piece of a report as it is being written. It is not checked yet: what counts is the report in the log."""


class Signal(Message, frozen=True, kw_only=True):
    """``ctn.signal.<task>``: running work of this task is of no use any more; ``ctn.signal.<task>.<work id>``: attempts at this
    piece of it are, as another has brought its result, or as its time is up; ``ctn.signal.<task>.finish``: whoever works on a
    subtask writes up what there is. Not stored."""

    reason: str
    delivery: int = 0
    """Of a piece of work: attempts of earlier deliveries than this one are of no use any more, as it was taken over. 0: all."""


class Present(Message, frozen=True, kw_only=True):
    """``ctn.coordinator.here``: there is an orchestrator ``replica``, whom others may hand tasks to. Not stored."""

    replica: str
    leaving: bool = False
    """It is not to be asked any more."""
    many: bool = False
    """It reads several questions, and several answers, in one message."""


class Asked(Message, frozen=True, kw_only=True):
    """That one task is to be looked at."""

    number: int
    """Of the question, for its answer."""
    task: str
    """As it stands in the subject of its facts."""
    reach: int
    """The sequence that the log is to be read up to, at least."""
    begins: int = 0
    """The sequence at which it was submitted, where that was just now: what is known under its name is of one before it."""


class Look(Asked, frozen=True, kw_only=True):
    """``ctn.coordinator.look.<replica>``: one orchestrator has triggers of a task that is another's. Not stored."""

    replica: str
    """Who asks."""
    more: tuple[Asked, ...] = ()
    """Further ones; only where that one has said that it reads them."""


class Told(Message, frozen=True, kw_only=True):
    """The answer about one task: all that follows from its triggers is done."""

    number: int
    retry: float | None = None
    """It is not: they are to come again after so many seconds."""
    seen: int = 0
    """The sequence up to which all that follows from any fact of that task is done."""


class Looked(Told, frozen=True, kw_only=True):
    """``ctn.coordinator.looked.<replica>``: what came of :class:`Look`. Not stored."""

    more: tuple[Told, ...] = ()
    """Further ones; only where that one has said that it reads them."""


class Announcement(Message, frozen=True, kw_only=True):
    """In the bucket ``ctn_workers``, under ``<kind>.<replica>``: who can do what. Expires unless renewed."""

    kind: Kind
    description: str
    """One or two sentences: what the planner reads when it chooses."""
    replica: str
    slots: Count = 1
    tools: tuple[str, ...] = ()
    abilities: dict[str, str] = {}
    """What a tool is for, in one line, where its name does not say."""
    sources: tuple[str, ...] = ()
    """The kinds of source it reads. Empty: it needs none."""
    internal: bool = False
    """True for planning and synthesis: not to be chosen by a plan."""
    public: tuple[str, ...] = ()
    """Which of its tools, and of its kinds of source, are of the open web: nothing private comes together with them."""
    hedge: bool = True
    """Whether a second attempt may be made beside one that is slow. False where doing it twice does harm."""
