"""Whether a plan can be run: checked by the client before anything is stored, and by the orchestrator whoever wrote it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from concertino.contracts.messages import Announcement, Limits, Plan, Source, Submitted, Subtask

PLANNED_SUBTASKS = 20
"""Subtasks at the most, where a model plans and the caller sets no limit."""
BROUGHT_SUBTASKS = 10_000
"""The same for a plan that the caller brings."""
PLANNED_CALLS = 50
"""Tool calls at the most that a planner may allow one subtask."""
GENERAL = "general"
"""The kind that takes on roles. The tools that it has of other kinds are named ``KIND_TOOL``."""
PUBLIC = "web"
"""The kind that reads the open web."""
PRIVATE = ("code", "docs")
"""Kinds that read what may be private."""
_USER = re.compile(r"(?<=://)[^/\s]*@")


def max_subtasks(limits: Limits, *, brought: bool) -> int:
    """How many subtasks a task may have over all rounds."""
    return limits.max_subtasks or (BROUGHT_SUBTASKS if brought else PLANNED_SUBTASKS)


def problems(
    plan: Plan,
    task: Submitted,
    kinds: Collection[str],
    *,
    brought: bool,
    earlier: Iterable[Subtask] = (),
    offers: Collection[Announcement] = (),
) -> list[str]:
    """Everything that keeps ``plan`` from being run, in words for its author; empty if it is sound.

    ``kinds`` are those on the bus, ``brought`` says that the caller wrote it, ``earlier`` are subtasks of previous rounds,
    ``offers`` what workers say of themselves, where that is to be held against the plan.
    A planner's plan may read no source that the caller did not name, and may not repeat a brief.
    """
    # A plan may have thousands of subtasks, and its caller waits: what most plans do without is not looked for in each of them.
    subtasks, earlier = plan.subtasks, list(earlier)
    before = {subtask.id for subtask in earlier}
    found: list[str] = []
    if not subtasks:
        found.append("it has no subtasks")
    limit = max_subtasks(task.limits, brought=brought)
    if len(subtasks) + len(before) > limit:
        found.append(f"it has {len(subtasks) + len(before)} subtasks, and {limit} are allowed")
    counts = Counter([subtask.id for subtask in subtasks])
    if len(counts) < len(subtasks):
        found += [f"subtask id {id_!r} stands {n} times" for id_, n in counts.items() if n > 1]
    found += [f"subtask id {id_!r} was used by an earlier round" for id_ in counts if id_ in before] if before else []
    # What is done needs no worker.
    done = {one.work for one in task.done} if brought else set()
    asked = [subtask for subtask in subtasks if subtask.work_id not in done] if done else subtasks
    unknown = sorted({subtask.kind for subtask in asked}.difference(kinds))
    if unknown:
        found.append(f"no worker does {', '.join(map(repr, unknown))}; on the bus: {', '.join(sorted(kinds)) or 'none'}")
    dependent = [subtask for subtask in subtasks if subtask.depends_on]
    found += [
        f"subtask {subtask.id!r} depends on {needed!r}, which does not exist"
        for subtask in dependent
        for needed in subtask.depends_on
        if needed not in counts and needed not in before
    ]
    if done:
        planned = {subtask.work_id for subtask in subtasks}
        found += [f"a result is given for {work!r}, which is no subtask of it" for work in sorted(done - planned)]
    if not brought:
        strange = {source.location for s in subtasks for source in s.sources or () if source not in task.sources}
        found += [f"source {location!r} was not given by the caller" for location in sorted(strange)]
        briefs = {brief(subtask) for subtask in earlier}
        found += [f"subtask {s.id!r} repeats an earlier brief" for s in subtasks if brief(s) in briefs]
        found += [
            f"subtask {s.id!r} allows itself {s.max_calls} tool calls, and {PLANNED_CALLS} are the most"
            for s in subtasks
            if s.max_calls and s.max_calls > PLANNED_CALLS
        ]
    limits = [(name, whole) for name in ("max_tokens", "max_cost") if (whole := getattr(task.limits, name)) is not None]
    found += [
        f"subtask {s.id!r} allows itself {_spends(name, mine)}, and the task has {_spends(name, whole)}"
        for s in (subtasks if limits else ())
        for name, whole in limits
        if (mine := getattr(s, name)) is not None and mine > whole
    ]
    found += [
        f"subtask {s.id!r} has private sources and the public web together, and a page could have the one carried into the "
        "other: make two subtasks of it"
        for s in subtasks
        if s.kind == GENERAL and _mixes(s, offers)
    ]
    found += _against(offers, [subtask for subtask in asked if subtask.tools])
    if dependent:
        try:
            TopologicalSorter({s.id: s.depends_on for s in subtasks}).prepare()
        except CycleError as e:
            found.append(f"its dependencies form a cycle: {' → '.join(reversed(e.args[1]))}")
    return found


def _spends(limit: str, amount: float) -> str:
    return f"{amount:,} tokens" if limit == "max_tokens" else f"${amount:,.2f}"


def _mixes(subtask: Subtask, offers: Collection[Announcement]) -> bool:
    """Whether one worker, of the kind :data:`GENERAL`, would both read what is private and reach the public web. Of tools that
    are not announced, only the names of those that ship say on which side they are."""
    mine = [offer for offer in offers if offer.kind == GENERAL]
    public = {PUBLIC, *(name for offer in mine for name in offer.public)}
    known = {tool for offer in mine for tool in offer.tools}
    kinds, tools = {source.kind for source in subtask.sources or ()}, set(subtask.tools or ())
    reaching = {tool for tool in tools if tool in public or tool.startswith(f"{PUBLIC}_")}
    private = {tool for tool in tools - reaching if tool in known or tool.startswith(tuple(f"{kind}_" for kind in PRIVATE))}
    return bool(reaching or kinds & public) and bool(private or kinds - public)


def _against(offers: Collection[Announcement], subtasks: Iterable[Subtask]) -> Iterator[str]:
    """What a plan wants of workers that they do not have. Nothing is known of the tools of a kind that announces none."""
    tools: dict[str, set[str]] = {}
    for offer in offers:
        tools.setdefault(offer.kind, set()).update(offer.tools)
    for subtask in subtasks:
        there = tools.get(subtask.kind)
        if there and (strange := sorted(set(subtask.tools or ()) - there)):
            yield (
                f"subtask {subtask.id!r} wants tools that {subtask.kind!r} does not have: {', '.join(strange)}; it has: "
                f"{', '.join(sorted(there))}"
            )


def sources_of(subtask: Subtask, given: tuple[Source, ...]) -> tuple[Source, ...]:
    """What ``subtask`` may read of a task whose sources are ``given``."""
    return tuple(s for s in given if s.kind == subtask.kind) if subtask.sources is None else subtask.sources


def unread(given: tuple[Source, ...], subtasks: Collection[Subtask]) -> tuple[str, ...]:
    """Those of the ``given`` sources that no subtask was to read, in words for the caller, who named them to have them read."""
    read = {source for subtask in subtasks for source in sources_of(subtask, given)}
    asked = {source.kind for source in read} | {subtask.kind for subtask in subtasks}
    return tuple(
        f"{_shown(source)} was not read: "
        + ("no subtask was given it" if source.kind in asked else f"nobody who reads {source.kind} was asked")
        for source in dict.fromkeys(given)
        if source not in read
    )


def _shown(source: Source) -> str:
    """Without the user and the password that its address may hold."""
    place = _USER.sub("", source.location)
    return f"{place}@{source.ref} ({source.kind})" if source.ref else f"{place} ({source.kind})"


def brief(subtask: Subtask) -> tuple[str, str, tuple[str, ...]]:
    """What makes two subtasks the same piece of work: kind, objective, sources."""
    locations = tuple(source.location for source in subtask.sources or ())
    return subtask.kind, " ".join(subtask.objective.casefold().split()), locations
