"""What is said of a timeline, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby

from concertino.cli.durations import format_seconds
from concertino.cli.show.spending import cost, spent, tokens
from concertino.cli.show.text import clean, one_line, plural
from concertino.contracts.timeline import Doing, Part, Phase, Row, Timeline
from concertino.contracts.view import UsageView

DOING: Mapping[Doing, str] = {
    "blocked": "waits for others",
    "sending": "to be queued",
    "queued": "queued",
    "working": "at work",
    "in_vain": "in vain",
    "retrying": "before retry",
}
"""What each sort of part is, for legends."""

PHASES: Mapping[Phase, str] = {
    "planning": "planning",
    "dependencies": "waiting for dependencies",
    "coordination": "coordination",
    "queue": "in queues",
    "work": "work",
    "retries": "attempts in vain",
    "synthesis": "synthesis",
}


@dataclass(frozen=True)
class Note:
    """Something to be known of a row. ``bad``: what went wrong."""

    text: str
    bad: bool = False


@dataclass(frozen=True)
class Step:
    """A piece of work on the critical path. ``share`` is of the whole time, 0 to 1; ``row`` is empty for what is between."""

    row: str
    name: str
    seconds: float
    share: float


def took(seconds: float) -> str:
    """``340 ms``, ``12.3 s``, ``2 m 05 s``; nothing for no time."""
    if seconds <= 0:
        return ""
    return f"{max(round(seconds * 1000), 1)} ms" if seconds < 0.9995 else format_seconds(seconds)


def percent(share: float) -> str:
    """``41 %``; ``<1 %`` for what is too little to count; nothing for nothing."""
    if share <= 0:
        return ""
    return f"{share:.0%}".replace("%", " %") if share >= 0.005 else "<1 %"


def share(seconds: float, found: Timeline) -> float:
    """Of the whole time, 0 to 1."""
    return seconds / found.seconds if found.seconds else 0.0


def names(found: Timeline) -> dict[str, str]:
    """What to call each row, by its id."""
    return {row.id: one_line(row.name, 64) for row in found.rows}


def worked(row: Row) -> float:
    """Seconds that its attempts took."""
    return sum(part.seconds for part in row.parts if part.attempt)


def after(row: Row, known: Mapping[str, str]) -> list[str]:
    """The names of what it waited for."""
    return [known.get(id_, clean(id_)) for id_ in row.after]


def notes(row: Row) -> Iterator[Note]:
    """What a bar cannot show: what became of its attempts, and why it failed or is less than was asked for."""
    if row.slow_after:
        yield Note(f"sent a second time, as {took(row.slow_after)} of work are long for its kind")
    for part in (*row.parts, *row.beside):
        if part.hedge and part.doing == "working":
            yield Note(f"{attempt(part)} {'goes on beside it' if part in row.beside else 'was first'}")
        if part.doing == "in_vain" and not _goes_on(part, row):
            long = f" after {took(part.seconds)}" if part.seconds else ""
            yield Note(f"{attempt(part)} in vain{long}: {one_line(part.why)}", bad=True)
    if row.untold:
        yield Note(f"{plural(row.untold, 'earlier attempt')} left no word in the log", bad=True)
    if row.error:
        yield Note(one_line(row.error), bad=row.status == "failed")


def _goes_on(part: Part, row: Row) -> bool:
    """Whether it is the rest of an attempt that was told of already: what a hedge that won outran."""
    return part in row.beside and not part.hedge


def attempt(part: Part) -> str:
    """``attempt 2 on web-7f``."""
    number = "a second attempt" if part.hedge else f"attempt {part.attempt}" if part.attempt else "a delivery"
    return f"{number} on {one_line(part.worker, 40)}" if part.worker else number


def steps(found: Timeline) -> list[Step]:
    """The critical path, a step for each piece of work, in the order of time; what is between them last, together."""
    known, seconds = names(found), dict[str, float]()
    for segment in found.path:
        seconds[segment.row] = seconds.get(segment.row, 0.0) + segment.seconds
    between = seconds.pop("", 0.0)
    path = [Step(row, known[row], took_, share(took_, found)) for row, took_ in seconds.items()]
    return [*path, *([Step("", "between them", between, share(between, found))] if between else [])]


def shortened(path: list[Step], most: int) -> list[Step]:
    """``path`` with the shortest of its steps put together where there are more than ``most``."""
    kept = sorted(path, key=lambda step: (bool(step.row), -step.seconds))[:most]
    if len(kept) == len(path):
        return path
    found: list[Step] = []
    for few, run in groupby(path, key=lambda step: step not in kept):
        steps = list(run)
        if not few:
            found += steps
            continue
        name = steps[0].name if len(steps) == 1 else f"{len(steps):,} more"
        found.append(Step(steps[0].row, name, sum(step.seconds for step in steps), sum(step.share for step in steps)))
    return found


def phases(found: Timeline) -> Iterator[tuple[str, str, str, str]]:
    """Name, time on the critical path, its share, time in all rows; phases that took none are left out."""
    for name, total in found.phases.items():
        if total.all_rows or total.critical:
            yield PHASES[name], took(total.critical), percent(share(total.critical, found)), took(total.all_rows)


KINDS = ("kind", "rows", "attempts", "waited", "worked", "in vain", "critical", "tokens", "cost")
"""Headers of :func:`kinds`."""


def kinds(found: Timeline) -> Iterator[tuple[str, ...]]:
    """A row for each kind, the last for all of them where there are several."""
    for name, kind in found.kinds.items():
        times = (took(kind.waited), took(kind.worked), took(kind.retries), percent(share(kind.critical, found)))
        yield one_line(name, 32), f"{kind.rows:,}", f"{kind.attempts:,}", *times, *spending(kind.usage)


def spending(usage: UsageView) -> tuple[str, str]:
    """Tokens and cost; nothing where no model was asked."""
    return (short(tokens(usage)), cost(usage)) if spent(usage) else ("", "")


def short(count: int) -> str:
    """``950``, ``12.3k``, ``4.6M``."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:.1f}{name}"
    return str(count)


def summary(found: Timeline) -> list[str]:
    """How much was done in how long, and what for: the parts of one line."""
    work = sum(total.all_rows for name, total in found.phases.items() if name in ("planning", "work", "synthesis"))
    rounds = [plural(found.rounds, "round")] if found.rounds > 1 else []
    done = f"{took(work) or '0 s'} of work in {took(found.seconds) or '0 s'}"
    return [plural(len(found.rows), "piece") + " of work", *rounds, done, *spent(found.usage, found.max_tokens, found.max_cost)]


def when(found: Timeline) -> str:
    """When it began, in UTC."""
    return datetime.fromtimestamp(found.began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def outcome(found: Timeline) -> str:
    """How it ended, and why if not well."""
    reason = f": {one_line(found.reason)}" if found.reason and found.status != "answered" else ""
    return f"{found.status}{reason}"


def aloud(row: Row, known: Mapping[str, str]) -> str:
    """A bar in words: for who does not see it."""
    parts = [f"{DOING[part.doing]} {took(part.seconds)}" for part in row.parts if part.seconds]
    parts += [f"beside it {DOING[part.doing]} {took(part.seconds)}" for part in row.beside if part.seconds]
    waited = [f"after {', '.join(needed)}"] if (needed := after(row, known)) else []
    said = "; ".join([*waited, *(note.text for note in notes(row))])
    return f"from {took(row.start) or '0 s'}: {', '.join(parts) or 'nothing yet'}{f' ({said})' if said else ''}"
