"""Work of kind ``synthesize``: check the evidence, have a model weigh it and write, check what it cited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import structlog
from msgspec import Struct, structs

from concertino.contracts.messages import Announcement, Conflict, Report, Settled, Subtask
from concertino.contracts.subjects import SYNTHESIZE
from concertino.model import prompts
from concertino.model.port import Draft, Exhibit, Writing, WritingPrompts
from concertino.runtime.clock import Clock
from concertino.synthesizer import evidence, fallback
from concertino.synthesizer.figures import marked
from concertino.synthesizer.marks import cited
from concertino.telemetry import metrics
from concertino.worker import Context, Worker
from concertino.worker.handlers import settle

_HERE = Path(__file__).parent

log = structlog.get_logger(__name__)
worker = Worker(SYNTHESIZE, "Weighs findings and writes the report.", internal=True, service="synthesizer", slots=8)


class Material(Struct, frozen=True):
    """What may be cited, and what it was checked against."""

    exhibits: tuple[Exhibit, ...]
    texts: Mapping[str, str | None]
    """What is kept, by its digest."""
    failed: int
    """Quotes that do not stand there."""


@worker.handle
async def synthesize(_: Subtask, context: Context, clock: Clock = time.time) -> Settled:
    """The report on everything that came. Raises :class:`ModelUnavailable` while a model that is away is worth waiting for."""
    material = await _material(context)
    await context.progress("writing the report")
    answer = await fallback.written(context, await _job(context, material.exhibits), clock)
    report = _report(answer.value, material, context.work.request)
    metrics.CITATIONS.labels("passed").inc(report.checked)
    metrics.CITATIONS.labels("failed").inc(report.dropped)
    log.info(
        "report checked",
        task=context.work.task,
        checked=report.checked,
        dropped=report.dropped,
        marked=report.marked,
        cited=len(report.citations),
    )
    return settle(structs.replace(answer, value=report), context)


async def _material(context: Context) -> Material:
    results = [(i.subtask.kind, i.result) for i in context.inputs if i.result]
    kept = list({(kind, e.digest) for kind, result in results for f in result.findings for e in f.evidence})
    if kept:
        await context.progress(f"checking {len(kept)} pieces of evidence")
    blobs = await asyncio.gather(*(context.blob(kind, digest) for kind, digest in kept))
    texts: dict[str, str | None] = {}
    for (_, digest), blob in zip(kept, blobs, strict=True):
        texts[digest] = texts.get(digest) or evidence.text_of(digest, blob)
    exhibits, failed = evidence.exhibits(context.inputs, texts)
    return Material(tuple(exhibits), texts, failed)


async def _job(context: Context, exhibits: tuple[Exhibit, ...]) -> Writing:
    inputs = context.inputs
    return Writing(
        work=context.work,
        exhibits=exhibits,
        assertions=evidence.assertions(inputs),
        gaps=evidence.gaps(inputs, {exhibit.subtask for exhibit in exhibits}),
        missing=(*evidence.missing(inputs), *context.work.unread, *evidence.notes(inputs)),
        kinds=await _kinds(context),
        prompts=WritingPrompts(*(prompts.load(_HERE / f"{step}.md") for step in ("digest", "weigh", "write"))),
        hooks=context.hooks,
    )


async def _kinds(context: Context) -> tuple[Announcement, ...]:
    """One of each kind that another round could ask, if there can be one."""
    round_ = int(context.work.id.partition(".")[2])
    if round_ + 1 >= context.work.limits.max_rounds:
        return ()
    return tuple({kind.kind: kind for kind in await context.kinds() if not kind.internal}.values())


def _report(draft: Draft, material: Material, request: str) -> Report:
    text, citations, unknown = cited(draft.text, material.exhibits)
    strange = 0
    if not draft.verbatim:
        text, strange = marked(text, material.exhibits, material.texts, request)
    ids = {citation.id for citation in citations}
    return Report(
        text=text,
        citations=citations,
        conflicts=tuple(_only_cited(conflict, ids) for conflict in draft.conflicts),
        gaps=(*draft.gaps, *_failures(material.failed, unknown + draft.dropped, strange)),
        open=draft.open,
        checked=len(material.exhibits),
        dropped=material.failed + unknown + draft.dropped,
        marked=strange,
    )


def _failures(quotes: int, references: int, strange: int) -> list[str]:
    """What did not pass the checks, for a reader."""
    found: list[str] = []
    if quotes:
        found.append(f"{_count(quotes, 'quote')} failed the check against the evidence and {_are(quotes)} not used")
    if references:
        found.append(f"{_count(references, 'reference')} to evidence that does not exist {_are(references)} left out")
    if strange:
        found.append(f"{_count(strange, 'sentence')} marked: a figure or a name in it stands in no quote that it cites")
    return found


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _only_cited(conflict: Conflict, ids: set[str]) -> Conflict:
    return structs.replace(
        conflict,
        positions=tuple(structs.replace(p, citations=tuple(c for c in p.citations if c in ids)) for p in conflict.positions),
    )
