"""Work of kind ``synthesize``: check the evidence, have a model weigh it and write, check what it cited."""

from __future__ import annotations

import asyncio

from msgspec import structs

from concertino.contracts.messages import Conflict, Report, Subtask, Synthesized
from concertino.contracts.subjects import SYNTHESIZE
from concertino.model.port import Draft, Exhibit, Writing
from concertino.synthesizer import evidence
from concertino.synthesizer.marks import cited
from concertino.worker import Context, Worker

worker = Worker(SYNTHESIZE, "Weighs findings and writes the report.", internal=True, slots=8)


@worker.handle
async def synthesize(_: Subtask, context: Context) -> Synthesized:
    """The report on everything that came."""
    inputs = context.inputs
    digests = {e.digest for i in inputs if i.result for f in i.result.findings for e in f.evidence}
    if digests:
        await context.progress(f"checking {len(digests)} pieces of evidence")
    blobs = await asyncio.gather(*(context.blob(digest) for digest in digests))
    texts = {digest: evidence.text_of(digest, blob) for digest, blob in zip(digests, blobs, strict=True)}
    exhibits, failed = evidence.exhibits(inputs, texts)
    found_for = {exhibit.subtask for exhibit in exhibits}
    answered = {i.subtask.objective for i in inputs if i.subtask.id in found_for}
    gaps = evidence.gaps(inputs, answered)
    if failed:
        gaps = (*gaps, f"{failed} quote{'' if failed == 1 else 's'} failed the check against the evidence and are not used")
    await context.progress("writing the report")
    answer = await context.model.write(
        Writing(
            work=context.work,
            exhibits=tuple(exhibits),
            assertions=evidence.assertions(inputs),
            gaps=gaps,
            missing=evidence.missing(inputs),
        )
    )
    return Synthesized(report=_report(answer.value, exhibits), usage=answer.usage, model=context.model.name)


def _report(draft: Draft, exhibits: list[Exhibit]) -> Report:
    text, citations = cited(draft.text, exhibits)
    ids = {citation.id for citation in citations}
    return Report(
        text=text,
        citations=citations,
        conflicts=tuple(_only_cited(conflict, ids) for conflict in draft.conflicts),
        gaps=draft.gaps,
        open=draft.open,
    )


def _only_cited(conflict: Conflict, ids: set[str]) -> Conflict:
    return structs.replace(
        conflict,
        positions=tuple(structs.replace(p, citations=tuple(c for c in p.citations if c in ids)) for p in conflict.positions),
    )
