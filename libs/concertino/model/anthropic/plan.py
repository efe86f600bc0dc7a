"""A plan as a structured output: what the model is shown, the form that it fills in, and what comes of that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from concertino.contracts.messages import Announcement, Plan, Source, Subtask
from concertino.contracts.plans import GENERAL
from concertino.model.anthropic.planning import described, offers
from concertino.model.anthropic.session import Session
from concertino.model.port import Answer, Planning

_STRANGE = re.compile(r"[^A-Za-z0-9_-]+")
_DASH = re.compile(r"\s*[-–]\s*")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


class Brief(Struct, frozen=True):
    """A subtask as the model writes it. The prompt says what belongs into each field."""

    id: str
    kind: str
    objective: str
    why: str
    expected_output: str
    boundaries: str
    starting_points: list[str]
    trusted: list[str]
    sources: str
    tools: list[str]
    max_calls: int
    depends_on: list[str]
    role: str
    instructions: str


class Split(Struct, frozen=True):
    """The model's whole answer. What it decides first stands first."""

    question: Literal["simple", "deep", "broad"]
    why: str
    subtasks: list[Brief]


async def plan(session: Session, job: Planning) -> Answer[Plan]:
    """The subtasks for ``job``. Raises what :meth:`Session.ask` raises; a plan to which ``job.check`` objects is unusable."""
    system = job.prompt.text if job.prompt else ""
    content = [{"type": "text", "text": text} for text in described(job)]
    split = await session.ask(system, content, Split, lambda made: objections(made, job))
    return Answer(planned(split, job), prompt=job.prompt.id if job.prompt else "")


def planned(split: Split, job: Planning) -> Plan:
    """The model's answer as a plan. Ids are made fit for the log, and distinct from those of earlier rounds."""
    number = int(job.work.id.partition(".")[2])
    earlier = {item.subtask.id for item in job.work.inputs}
    ids: dict[str, str] = {}
    for brief in split.subtasks:
        id_ = _fit(brief.id) or "s"
        ids[brief.id] = f"r{number}-{id_}"[:64] if id_ in earlier else id_
    subtasks = tuple(_subtask(brief, job, ids) for brief in split.subtasks)
    return Plan(subtasks=subtasks, why=f"{split.question}: {split.why}")


def objections(split: Split, job: Planning) -> list[str]:
    """What is wrong with the model's answer, in words for the model."""
    made = planned(split, job)
    found = [wrong for brief in split.subtasks for wrong in _of_brief(brief, job.work.sources, offers(job.kinds))]
    try:
        msgspec.convert(msgspec.to_builtins(made), Plan)  # structs do not check themselves
    except msgspec.ValidationError as e:
        found.append(str(e))
    return [*found, *job.check(made)]


def _subtask(brief: Brief, job: Planning, ids: Mapping[str, str]) -> Subtask:
    numbers = [n for n in _numbers(brief.sources, len(job.work.sources)) if n is not None]
    return Subtask(
        id=ids[brief.id],
        kind=brief.kind,
        objective=brief.objective,
        why=brief.why,
        expected_output=brief.expected_output,
        boundaries=brief.boundaries,
        starting_points=tuple(brief.starting_points),
        trusted=tuple(brief.trusted),
        sources=tuple(job.work.sources[n - 1] for n in dict.fromkeys(numbers)),
        tools=tuple(dict.fromkeys(brief.tools)) or None,
        max_calls=brief.max_calls if brief.max_calls > 0 else None,
        effort=job.work.limits.effort,
        depends_on=tuple(dict.fromkeys(ids.get(needed) or _fit(needed) or "s" for needed in brief.depends_on)),
        role=brief.role,
        instructions=brief.instructions,
    )


def _fit(id_: str) -> str:
    return _STRANGE.sub("-", id_.strip())[:48].strip("-")


def _of_brief(brief: Brief, sources: tuple[Source, ...], kinds: Mapping[str, Announcement]) -> Iterator[str]:
    """What the plan's own check cannot see, since it is asked about subtasks."""
    name = f"subtask {brief.id!r}"
    if not brief.objective.strip():
        yield f"{name} has no objective"
    numbers = list(_numbers(brief.sources, len(sources)))
    if None in numbers:
        there = f"they are numbered 1 to {len(sources)}" if sources else "there are none"
        yield f"{name}: {brief.sources!r} does not name sources; {there}, and are given as in 1-4, 7"
    kind = kinds.get(brief.kind)
    told_where = numbers or brief.kind == GENERAL or any("://" in point for point in brief.starting_points)
    if kind and kind.sources and not told_where:
        yield f"{name} is for {brief.kind!r}, which needs sources to read: name them by their numbers"
    if kind and (kind.sources or kind.kind != GENERAL):
        for n in numbers:
            if n is not None and (read := sources[n - 1].kind) not in {kind.kind, *kind.sources}:
                yield f"{name} is for {brief.kind!r}, which does not read sources of kind {read!r} (source {n})"
    if brief.kind == GENERAL and not (brief.role.strip() and brief.instructions.strip() and brief.tools):
        yield f"{name} is for {GENERAL!r}: give it a role, instructions and tools"


def _numbers(text: str, count: int) -> Iterator[int | None]:
    """The numbers in ``1-4, 7``; None for what is no number of ``count`` sources."""
    for part in filter(None, re.split(r"[,;\s]+", _DASH.sub("-", text))):
        found = _RANGE.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if 1 <= first <= last <= count:
            yield from range(first, last + 1)
        else:
            yield None
