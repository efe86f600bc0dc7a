"""Reading what a run has left behind: logs, queues, timers, ledgers, the journal and the evidence of quotes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from tests.chaos.verdict import Kept
from tests.chaos.watch import AGAIN, Seen, seen

from concertino.bus import blobs
from concertino.bus.port import Bus, Stored
from concertino.bus.tasklog import TaskLog
from concertino.contracts.codec import decode
from concertino.contracts.errors import BusUnavailable, Invalid
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Evidence as Quote
from concertino.contracts.messages import Hold, Ledger, Outcome, Result, Settled, Submitted
from concertino.contracts.subjects import Header, Subjects, nth, parse_nth

PAST = 5.0
"""Seconds after which a timer should have gone off."""


async def logs(bus: Bus, subjects: Subjects) -> dict[str, list[Fact]]:
    """The facts of every task, in order."""
    found: dict[str, list[Fact]] = defaultdict(list)
    log = TaskLog(bus, subjects)
    for stored in await bus.read(subjects.tasks_stream, subjects.task("*")):
        found[subjects.parse_fact(stored.subject)[0]].append(await log.fact_in(stored))
    return dict(found)


def first_of(log: Sequence[Fact], task: str, spoiled: Collection[tuple[str, str]]) -> list[Fact]:
    """``log`` without what was written where a fact stood already, by whom that does not matter: the first is what counts."""
    kept: dict[str, Fact] = {}
    again = []
    for fact in log:
        if (task, str(fact.name)) not in spoiled or str(fact.name) not in kept:
            again.append(fact)
        kept.setdefault(str(fact.name), fact)
    return again


async def versions(bus: Bus, subjects: Subjects) -> dict[tuple[str, str], list[Seen]]:
    """Every once-only fact as it stands in the log, by task and name."""
    found: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for stored in await bus.read(subjects.tasks_stream, subjects.task("*")):
        task, name = subjects.parse_fact(stored.subject)
        if name.type not in AGAIN:
            found[task, str(name)].append(seen(stored))
    return dict(found)


async def left(bus: Bus, subjects: Subjects, over: Collection[str]) -> list[str]:
    """What waits, in words, though the tasks in ``over`` have ended."""
    found = []
    for stream in (subjects.work_stream, subjects.tasks_stream):
        for consumer, (pending, unsettled) in sorted((await bus.depths(stream)).items()):
            if pending or unsettled:
                found.append(f"{stream}: {consumer}: {pending} wait, {unsettled} are not settled")
    queued = await bus.read(subjects.work_stream, subjects.work("*", "*"))
    found += [f"{stored.subject}: {stored.headers.get(Header.MESSAGE_ID, 'a message')} is in the queue" for stored in queued]
    timers = [(stored.subject, _due(stored)) for stored in await bus.read(subjects.timers_stream, subjects.task("*"))]
    past = time.time() - PAST
    found += [f"{subject} was to go off {past + PAST - at:.0f} s ago" for subject, at in timers if at is not None and at < past]
    for task, value in (await bus.keys(subjects.budget_bucket)).items():
        holds = [hold for hold in _ledger(value).holds if not hold.over]
        if task in over and holds:
            facts = await TaskLog(bus, subjects).read(task)
            found += [
                f"{task}: its ledger holds {hold.amount.tokens} tokens for {hold.work}" for hold in holds if ended(hold, facts)
            ]
    return found


def ended(hold: Hold, facts: Sequence[Fact]) -> bool:
    """Whether the delivery that ``hold`` was for ended in words: then it should have been settled. What a worker had taken that
    died stays taken, as it may have been billed."""
    said = {str(fact.name): fact.message for fact in facts}
    if f"spent.{hold.work}.{nth(hold.attempt, hold.delivery)}" in said:
        return True
    others = [about.rpartition(".") for about in said if about.startswith((f"begun.{hold.work}.", f"returned.{hold.work}."))]
    later = [number for _, _, number in others if parse_nth(number) > (hold.attempt, hold.delivery)]
    result = said.get(hold.work)
    return isinstance(result, Settled) and result.attempts <= hold.delivery and not later


def _due(stored: Stored) -> float | None:
    at = stored.headers.get(Header.SCHEDULE, "").removeprefix("@at ")
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return None


def _ledger(value: bytes) -> Ledger:
    try:
        return decode(Ledger, value)
    except Invalid:
        return Ledger()  # somebody wrote garbage there: its task could not spend


async def kept(bus: Bus, subjects: Subjects, checkpoints: Iterable[Stored]) -> list[Kept]:
    """The journal, in the order of its conversations."""
    log, found = TaskLog(bus, subjects), []
    for stored in checkpoints:
        about, _, number = stored.subject.rpartition(".")
        try:
            found.append((about, int(number), Kept(about, stored.time, await log.checkpoint_in(stored))))
        except (Invalid, ValueError):
            continue  # garbage that somebody wrote there
    return [each for _, _, each in sorted(found, key=lambda found: found[:2])]


async def quotes(bus: Bus, facts: Mapping[str, Sequence[Fact]]) -> list[str]:
    """Quotes of findings and citations of reports that do not stand in what is kept as their evidence, in words."""
    found = []
    texts: dict[tuple[str, str], str | None] = {}
    for task, log in facts.items():
        quoted: dict[tuple[str, str], tuple[str, Quote]] = {}
        results = [(str(fact.name), fact.message) for fact in log if isinstance(fact.message, Result)]
        results += [
            (done.work, done.result) for fact in log if isinstance(fact.message, Submitted) for done in fact.message.done
        ]
        for work, result in results:
            for evidence in (e for finding in result.findings for e in finding.evidence):
                quoted[evidence.digest, evidence.quote] = work.split(".")[1], evidence
        for kind, evidence in quoted.values():
            about = kind, evidence.digest
            if about not in texts:
                blob = await blobs.evidence(bus, *about)
                texts[about] = None if blob is None else blob.decode()
            text, (begin, end) = texts[about], evidence.span
            if text is None or text[begin:end] != evidence.quote:
                found.append(f"{task}: {evidence.quote[:60]!r} is not in its evidence {evidence.digest[:12]}")
        reports = [fact.message.report for fact in log if isinstance(fact.message, Outcome) and fact.message.report]
        cited = [citation for report in reports for citation in report.citations]
        found += [
            f"{task}: its report cites {citation.quote[:60]!r}, which no result holds"
            for citation in cited
            if (citation.digest, citation.quote) not in quoted
        ]
    return found


def as_json(facts: Sequence[Fact]) -> bytes:
    """A log for people, a fact a line."""
    return b"\n".join(
        msgspec.json.encode(
            {"sequence": fact.sequence, "time": fact.time, "name": str(fact.name), "message": msgspec.to_builtins(fact.message)}
        )
        for fact in facts
    )


async def patiently_left(bus: Bus, subjects: Subjects, over: Collection[str]) -> list[str]:
    """:func:`left`, or that it cannot be said."""
    try:
        return await left(bus, subjects, over)
    except BusUnavailable as e:
        return [f"the bus does not answer: {e}"]
