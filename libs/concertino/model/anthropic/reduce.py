"""Findings that are too many for one look: batches by what they are about, each digested to points, until the rest fits.

Nothing goes silently: each item ends in a point, set aside with a reason, or among what is left and is weighed as it is. What a
digest forgets is asked for again, once. What does not fit after all is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TypeAlias

from msgspec import Struct

from concertino.contracts.errors import ModelRefused, Unusable
from concertino.model.anthropic.items import Item, point
from concertino.model.anthropic.material import data
from concertino.model.anthropic.session import Session
from concertino.model.port import Exhibit, Writing

BUDGET = 60_000
"""Tokens of findings that are weighed in one look."""
BATCH = 20_000
"""Tokens of findings that one digest takes in."""
LEVELS = 3
"""Digests of digests, at the most."""
AT_ONCE = 4


_Failed: TypeAlias = Unusable | ModelRefused


class DigestPoint(Struct, frozen=True):
    """One statement, and the ids that it rests on."""

    claim: str
    findings: tuple[str, ...]


class Aside(Struct, frozen=True):
    """What is not used, or with care, and why."""

    findings: tuple[str, ...]
    why: str


class Digest(Struct, frozen=True):
    """What a batch comes to. The prompt says what belongs into each field."""

    points: tuple[DigestPoint, ...]
    set_aside: tuple[Aside, ...] = ()


class Reduced(Struct, frozen=True):
    """``items`` fit into one look. ``aside`` and ``over`` (what does not fit) hold ids of exhibits."""

    items: tuple[Item, ...]
    aside: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Reason and exhibits."""
    over: tuple[str, ...] = ()
    unknown: int = 0
    """References of digests to what was not in their batch."""
    digested: bool = False


async def reduced(session: Session, job: Writing, items: Sequence[Item], budget: int = BUDGET, batch: int = BATCH) -> Reduced:
    """``items`` in a form that fits ``budget``, as it is where it fits already."""
    work = _Reduction(session, job, batch)
    left = list(items)
    for _ in range(LEVELS):
        if _size(left) <= budget:
            break
        shorter = await work.level(left)
        stuck = _size(shorter) > 0.9 * _size(left)
        left = shorter
        if stuck:
            break
    kept, over = _fitting(left, budget)
    return Reduced(tuple(kept), tuple(work.aside), over, work.unknown, left != list(items))


class _Reduction:
    """What all levels share: the ids of points, and what went aside."""

    def __init__(self, session: Session, job: Writing, batch: int) -> None:
        assert job.prompts is not None
        self._session, self._job, self._prompt, self._batch = session, job, job.prompts.digest, batch
        self._by_id: Mapping[str, Exhibit] = {exhibit.id: exhibit for exhibit in job.exhibits}
        self._ids = count(1)
        self.aside: list[tuple[str, tuple[str, ...]]] = []
        self.unknown = 0

    async def level(self, items: Sequence[Item]) -> list[Item]:
        """Points for ``items``, best first, with what came to none as it was. Raises where no digest could be had."""
        first = list(batches(items, self._batch))
        await self._job.hooks.progress(f"reducing {len(items)} findings in {len(first)} parts")
        points, forgotten, failures = await self._all(first)
        if len(failures) == len(first):
            raise failures[0]
        if forgotten:
            more, forgotten, _ = await self._all(list(batches(forgotten, self._batch)))
            points += more
        return sorted([*points, *forgotten], key=lambda item: item.rank)

    async def _all(self, parts: Sequence[Sequence[Item]]) -> tuple[list[Item], list[Item], list[_Failed]]:
        """Points, what came to none, and why parts failed."""
        slots = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(part, slots)) for part in parts]
        except ExceptionGroup as e:
            raise e.exceptions[0] from None  # whoever catches it looks for its type
        points: list[Item] = []
        forgotten: list[Item] = []
        failures: list[_Failed] = []
        for part, task in zip(parts, tasks, strict=True):
            match task.result():
                case Digest() as digest:
                    made, rest = self._used(digest, part)
                    points += made
                    forgotten += rest
                case failed:
                    failures.append(failed)
                    forgotten += part
        return points, forgotten, failures

    async def _one(self, part: Sequence[Item], slots: asyncio.Semaphore) -> Digest | _Failed:
        content = [
            {"type": "text", "text": data("request", self._job.work.request)},
            {"type": "text", "text": data("findings", [item.shown for item in part])},
            {"type": "text", "text": "Reduce this batch."},
        ]
        async with slots:
            try:
                return await self._session.ask(self._prompt.text, content, Digest)
            except (Unusable, ModelRefused) as e:
                return e  # one batch that cannot be reduced does not take the others with it

    def _used(self, digest: Digest, part: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        """The points of ``digest``, and what it forgot."""
        known = {item.id: item for item in part}
        points: list[Item] = []
        seen: set[str] = set()
        for made in digest.points:
            found = [known[id_] for id_ in dict.fromkeys(made.findings) if id_ in known]
            self.unknown += len(set(made.findings)) - len(found)
            if found and made.claim.strip():
                points.append(point(f"p{next(self._ids)}", made.claim, found, self._by_id))
                seen |= {item.id for item in found}
        for aside in digest.set_aside:
            found = [known[id_] for id_ in dict.fromkeys(aside.findings) if id_ in known and id_ not in seen]
            if found:
                self.aside.append((aside.why, tuple(exhibit for item in found for exhibit in item.exhibits)))
                seen |= {item.id for item in found}
        return points, [item for item in part if item.id not in seen]


def batches(items: Iterable[Item], most: int) -> Iterator[list[Item]]:
    """``items`` in parts of at most ``most`` tokens, those about one thing together as far as it goes."""
    by_about: dict[str, list[Item]] = {}
    for item in items:
        by_about.setdefault(item.about, []).append(item)
    part: list[Item] = []
    size = 0
    for item in (item for group in by_about.values() for item in group):
        if part and size + item.size > most:
            yield part
            part, size = [], 0
        part.append(item)
        size += item.size
    if part:
        yield part


def _fitting(items: Sequence[Item], budget: int) -> tuple[list[Item], tuple[str, ...]]:
    """The best that fit, and the exhibits of the others."""
    kept: list[Item] = []
    over: list[str] = []
    left = budget
    for item in items:
        if item.size <= left:
            kept.append(item)
            left -= item.size
        else:
            over += item.exhibits
    return kept, tuple(over)


def _size(items: Iterable[Item]) -> int:
    return sum(item.size for item in items)
