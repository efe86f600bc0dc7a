"""Judging plans against what a good one has: pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil
from statistics import mean, median

from msgspec import Struct

from concertino.contracts.messages import Plan, Source, Subtask, Usage
from concertino.retrieval.tokens import is_stop_word, stem
from evals.decomposition.requests import Domain, Request

SHARED = 1.5
"""Times that a source of an audit may be read, on average, where the sources are shared out."""
LARGEST = 2
"""The largest share may be so many times an even one."""
_PADDING = 5
"""Of so many words, one may be added to a copy."""
_TASKS = frozenset(
    {"analyse", "analyze", "check", "collect", "describe", "determine", "establish", "examine", "explain", "find", "gather"}
    | {"identify", "inspect", "investigate", "list", "look", "summarise", "summarize"}
)
"""Words for the work itself: two that differ in them alone do the same."""


class Verdict(Struct, frozen=True):
    """One plan, judged. Without a plan nothing of it is right."""

    request: Request
    plan: Plan | None
    trouble: str = ""
    """Why there is no plan."""
    too_few: bool = False
    too_many: bool = False
    kinds: bool = False
    order: bool = False
    reads: bool = False
    apart: bool = False
    shared: bool = False
    times: float = 0.0
    """How often a source is read, on average: of audits with sources."""
    briefs: int = 0
    """Subtasks whose briefs are whole."""
    seconds: float = 0.0
    usage: Usage = Usage()

    @property
    def workers(self) -> bool:
        """As many as there should be."""
        return self.plan is not None and not self.too_few and not self.too_many

    @property
    def whole(self) -> bool:
        """Every brief is."""
        return self.plan is not None and self.briefs == len(self.plan.subtasks)

    @property
    def good(self) -> bool:
        return self.workers and self.kinds and self.order and self.reads and self.apart and self.shared and self.whole


class Score(Struct, frozen=True):
    """Counts over all requests. Times are seconds for each plan, costs US dollars for all."""

    asked: int
    planned: int
    workers: int
    too_few: int
    too_many: int
    kinds: int
    order: int
    reads: int
    apart: int
    audits: int
    shared: int
    times: float
    """How often a source is read, on average over the audits."""
    good: int
    domains: dict[Domain, tuple[int, int]]
    """Good plans, of how many."""
    subtasks: int
    briefs: int
    median_seconds: float
    worst_seconds: float
    cost_usd: float


def judge(
    request: Request, plan: Plan | None, *, trouble: str = "", seconds: float = 0.0, usage: Usage | None = None
) -> Verdict:
    """Whether ``plan`` has as many subtasks as it should, of the right kinds, in the right order, whether all is read that has
    to be, nobody works on the same ground as another, an audit's sources are shared out, and briefs are whole."""
    usage = usage or Usage()
    if plan is None or not plan.subtasks:
        return Verdict(request, None, trouble or "an empty plan", seconds=seconds, usage=usage)
    asked = {subtask.kind for subtask in plan.subtasks}
    read = {source for subtask in plan.subtasks for source in _read(subtask, request)}
    least, most = request.workers
    return Verdict(
        request=request,
        plan=plan,
        too_few=len(plan.subtasks) < least,
        too_many=len(plan.subtasks) > most,
        kinds=request.kinds <= asked <= request.kinds | request.may,
        order=request.depth[0] <= depth(plan) <= request.depth[1],
        reads=request.needed <= read,
        apart=not any(_same_ground(a, b, request) for a, b in combinations(plan.subtasks, 2)),
        shared=request.domain != "audit" or _are_shared_out(plan, request),
        times=_times_read(plan, request) if request.domain == "audit" else 0.0,
        briefs=sum(_is_whole(subtask, plan) for subtask in plan.subtasks),
        seconds=seconds,
        usage=usage,
    )


def depth(plan: Plan) -> int:
    """Subtasks in the longest chain of which each waits for the one before."""
    by_id = {subtask.id: subtask for subtask in plan.subtasks}
    known: dict[str, int] = {}

    def of(id_: str) -> int:
        if id_ not in known:
            known[id_] = 1 + max((of(needed) for needed in by_id[id_].depends_on if needed in by_id), default=0)
        return known[id_]

    return max(map(of, by_id), default=0)


def _read(subtask: Subtask, request: Request) -> Sequence[Source]:
    if subtask.sources is None:
        return [source for source in request.given if source.kind == subtask.kind]
    return subtask.sources


def _same_ground(a: Subtask, b: Subtask, request: Request) -> bool:
    """All but the same words for the same kind, with a source in common or none at all."""
    if a.kind != b.kind or not _are_copies(_words(a.objective, request), _words(b.objective, request)):
        return False
    first, second = set(_read(a, request)), set(_read(b, request))
    return not first.isdisjoint(second) or not (first or second)


def _words(objective: str, request: Request) -> set[str]:
    """What tells one objective from another: neither its form and order, nor numbers that the request does not name."""
    named = set(re.findall(r"\d+", request.ask))
    found = re.findall(r"[^\W\d_]+|\d+", objective.casefold())
    return {stem(w) for w in found if (w in named if w.isdigit() else w not in _TASKS and not is_stop_word(w))}


def _are_copies(a: set[str], b: set[str]) -> bool:
    """Whether one says no more than the other, but for a word in five. Where each has a word of its own, what it means is not
    known: they count as apart."""
    less, more = sorted((a, b), key=len)
    return less <= more and len(more - less) * _PADDING <= len(more)


def _are_shared_out(plan: Plan, request: Request) -> bool:
    """Whether each source is read about once, and nobody has much more of them than an even share."""
    for kind, there in Counter(source.kind for source in set(request.given)).items():
        shares = [n for subtask in plan.subtasks if (n := sum(source.kind == kind for source in set(_read(subtask, request))))]
        if there > 1 and shares and (sum(shares) > SHARED * there or max(shares) > LARGEST * ceil(there / len(shares))):
            return False
    return True


def _times_read(plan: Plan, request: Request) -> float:
    there = len(set(request.given))
    return sum(len(set(_read(subtask, request))) for subtask in plan.subtasks) / there if there else 0.0


def _is_whole(subtask: Subtask, plan: Plan) -> bool:
    """It says what to find and what to bring back, and where there are siblings what to leave to them."""
    return bool(subtask.objective.strip() and subtask.expected_output.strip()) and bool(
        subtask.boundaries.strip() or len(plan.subtasks) == 1
    )


def score(verdicts: Sequence[Verdict]) -> Score:
    seconds = [v.seconds for v in verdicts]
    return Score(
        asked=len(verdicts),
        planned=sum(v.plan is not None for v in verdicts),
        workers=sum(v.workers for v in verdicts),
        too_few=sum(v.too_few for v in verdicts),
        too_many=sum(v.too_many for v in verdicts),
        kinds=sum(v.kinds for v in verdicts),
        order=sum(v.order for v in verdicts),
        reads=sum(v.reads for v in verdicts),
        apart=sum(v.apart for v in verdicts),
        audits=sum(v.request.domain == "audit" for v in verdicts),
        shared=sum(v.shared for v in verdicts if v.request.domain == "audit"),
        times=mean([v.times for v in verdicts if v.request.domain == "audit" and v.plan] or [0.0]),
        good=sum(v.good for v in verdicts),
        domains=_by_domain(verdicts),
        subtasks=sum(len(v.plan.subtasks) for v in verdicts if v.plan),
        briefs=sum(v.briefs for v in verdicts),
        median_seconds=median(seconds) if seconds else 0.0,
        worst_seconds=max(seconds, default=0.0),
        cost_usd=sum(v.usage.cost_usd for v in verdicts),
    )


def _by_domain(verdicts: Sequence[Verdict]) -> dict[Domain, tuple[int, int]]:
    grouped: Mapping[Domain, list[Verdict]] = {
        domain: [v for v in verdicts if v.request.domain == domain]
        for domain in dict.fromkeys(v.request.domain for v in verdicts)
    }
    return {domain: (sum(v.good for v in of), len(of)) for domain, of in grouped.items()}
