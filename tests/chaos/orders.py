"""What a task of each shape asks for: from an order to a submission. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from random import Random
from typing import Any

from msgspec import Struct
from tests.chaos.plan import Order

from concertino.client import Limits, Plan, Source, Subtask
from concertino.contracts.messages import Lane

CHAPTERS = 8
RESEARCH = ("docs", "code", "web", "general")
"""Kinds whose work is thought about by a model."""
OWN, BRITTLE = "tally", "brittle"
"""Kinds of the user's own workers: one that counts what it does, and one that can be made to die."""
READER = ("docs_search", "docs_read")
"""What a worker of no trade of its own gets."""
ROLE, INSTRUCTIONS = "a reader of handbooks", "Read the chapters one after the other."
GAP = "the chapter on second rounds"

_MARK = re.compile(r"\[\[([A-Za-z0-9_-]+)(?: ([a-z]+) ([A-Za-z0-9_-]+))?\]\]")


class Material(Struct, frozen=True):
    """What tasks read: folders of chapters, and the address of a page."""

    docs: str
    code: str
    page: str

    def of(self, kinds: Collection[str]) -> tuple[Source, ...]:
        """The sources of these kinds, in the order of their names."""
        where = {"code": self.code, "docs": self.docs, "web": self.page}
        return tuple(Source(kind=kind, location=location) for kind, location in where.items() if kind in kinds)


class Submission(Struct, frozen=True):
    """As :meth:`concertino.client.Client.submit` takes it."""

    request: str
    sources: tuple[Source, ...]
    limits: Limits
    plan: Plan | None
    lane: Lane

    def arguments(self) -> dict[str, Any]:
        return {"sources": self.sources, "limits": self.limits, "plan": self.plan, "lane": self.lane}


def chapter(number: int) -> str:
    """The sentence of a chapter: what findings quote."""
    return f"In chapter {number} the relay waits {number + 3} seconds before each retry."


def write_material(folder: Path, page: str) -> Material:
    """Chapters as documents and as source, below ``folder``."""
    docs, code = folder / "handbook", folder / "relay"
    for number in range(CHAPTERS):
        for path, text in (
            (docs / f"chapter-{number}.md", f"# Chapter {number}\n\n{chapter(number)}\n"),
            (code / f"chapter_{number}.py", f"# {chapter(number)}\nPAUSE_{number} = {number + 3}\n"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return Material(str(docs), str(code), page)


def mark(task: str, kind: str = "", subtask: str = "") -> str:
    """What stands in a request or an objective, so that the model's API knows what it is asked for."""
    return f"[[{task} {kind} {subtask}]]" if kind else f"[[{task}]]"


def marks(text: str) -> list[tuple[str, str, str]]:
    """Task, kind and subtask of every mark in ``text``; the latter two are empty for a task's own."""
    return [(m[1], m[2] or "", m[3] or "") for m in _MARK.finditer(text)]


def kinds(task: str, round_: int = 0) -> list[str]:
    """Who researches in a round of ``task``: one to four kinds, in the second round some of those of the first."""
    random = Random(f"{task}/{round_}")
    of = RESEARCH if round_ == 0 else kinds(task)
    return random.sample(of, random.randint(1, len(of)))


def source_of(kind: str) -> str:
    """The kind of source that ``kind`` reads."""
    return "docs" if kind == "general" else kind


def submission(order: Order, material: Material) -> Submission:
    """The task that ``order`` stands for."""
    random = Random(order.seed)
    limits = Limits(
        deadline=order.deadline,
        max_tokens=random.choice([60_000, 250_000, 600_000]) if order.shape == "budget" else None,
        max_rounds=2 if order.shape == "second_round" else 1,
    )
    plan = _plan(order, random, material)
    request = f"{mark(order.task)} ({order.shape}) How long does the relay wait before a retry?"
    researches = plan is None or any(subtask.kind in RESEARCH for subtask in plan.subtasks)
    read = {source_of(kind) for kind in kinds(order.task)} if researches else set()
    return Submission(request, material.of(read), limits, plan, order.lane)


def _plan(order: Order, random: Random, material: Material) -> Plan | None:
    task = order.task
    match order.shape:
        case "planned" | "second_round":
            return None
        case "joined" | "twice":
            count = random.randint(1, 8)
            return Plan(subtasks=tuple(own(task, f"s{i}", random) for i in range(count)), synthesize=False)
        case "hurried" if random.random() < 0.5:
            return Plan(subtasks=tuple(own(task, f"s{i}", random, 4.0) for i in range(3)), synthesize=False)
        case "poison":
            deadly = Subtask(id="deadly", kind=BRITTLE, objective=f"{mark(task, BRITTLE, 'deadly')} Die.", params={"die": True})
            return Plan(subtasks=(deadly, own(task, "s0", random)), synthesize=False)
        case _:
            return Plan(subtasks=researched(task, material))


def own(task: str, id_: str, random: Random, most: float = 1.5) -> Subtask:
    """A subtask of the user's own worker: some seconds of work."""
    seconds = round(random.uniform(0.0, most), 2)
    return Subtask(id=id_, kind=OWN, objective=f"{mark(task, OWN, id_)} Count.", params={"seconds": seconds})


def researched(task: str, material: Material) -> tuple[Subtask, ...]:
    """One to four pieces of research, later ones building on the first where there are three."""
    found = []
    for number, kind in enumerate(kinds(task)):
        general = kind == "general"
        found.append(
            Subtask(
                id=f"s{number}",
                kind=kind,
                objective=f"{mark(task, kind, f's{number}')} What is said of retries.",
                sources=material.of({"docs"}) if general else None,
                tools=READER if general else None,
                role=ROLE if general else "",
                instructions=INSTRUCTIONS if general else "",
                depends_on=("s0",) if number >= 2 else (),
            )
        )
    return tuple(found)
