"""A model that takes its time as models do, and one answer in some tasks that takes ten times as long as it should."""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from statistics import NormalDist
from typing import Literal

from msgspec import Struct
from tests.kit import script

from concertino.testing import Asked, Message, MessagesApi, Tool, UseTools

PARTS, LATE = 12, 10
MEDIAN, SPREAD = 2.0, 0.5
"""Of the seconds that a part takes, which are spread like those of answers: log-normally. One in twenty takes 2.3 times the
median or longer."""
SEARCHING = 0.3
"""Of a part: until the model asks for a tool. The rest is its answer."""
PLANNING, WEIGHING, WRITING = 1.0, 1.0, 2.0

Straggles = Literal["never", "searching", "answering", "hurried"]
"""Which call of the first part takes so long, the first time that it is made. Where all is hurried no part takes any time."""

_GOLDEN, _DIAGONAL = 0.618033988749895, math.sqrt(2)
"""Multiples of these, without what is whole of them, lie evenly between 0 and 1, however few there are."""
_PART = re.compile(r"part (\d+) of question (\d+), straggles (\w+)")
_QUESTION = re.compile(r"question (\d+), straggles (\w+)")


class Timing(Struct, frozen=True):
    """What the parts of one question take, and what one takes that is begun again. In seconds of the model."""

    parts: tuple[float, ...]
    again: float

    @classmethod
    def of(cls, question: int, pace: float) -> Timing:
        """Of each question the same, whoever asks. Parts are spread as twelve are that are drawn by chance, the slowest of
        them as the slowest of twelve is; but from question to question the slowest, and what is begun again, go through
        all that they can be evenly: four questions in a row (from 1 on) have the means of many, within a hundredth."""
        drawn = random.Random(question)
        slowest = (question * _DIAGONAL % 1) ** (1 / PARTS)
        shares = [slowest, *(drawn.uniform(0.0, slowest) for _ in range(PARTS - 1))]
        drawn.shuffle(shares)
        return cls(tuple(_seconds(share) * pace for share in shares), _seconds(question * _GOLDEN % 1) * pace)

    def path(self, pace: float) -> float:
        """Seconds that no task can do without, if none of its parts straggles."""
        return (PLANNING + WEIGHING + WRITING) * pace + max(self.parts)


def _seconds(share: float) -> float:
    """What so large a share of parts takes at the most."""
    return MEDIAN * math.exp(SPREAD * NormalDist().inv_cdf(min(max(share, 0.001), 0.999)))


def request(question: int, straggles: Straggles) -> str:
    return f"What is there to say? question {question}, straggles {straggles}"


def rules(api: MessagesApi, pace: float) -> None:
    """Plan, parts and report of :func:`request`, whose model is ``pace`` times as slow as the constants here say."""
    asked_before: Counter[tuple[str, ...]] = Counter()

    def planned(asked: Asked) -> Message:
        question = _QUESTION.search(asked.text)
        assert question, asked.text
        parts = (
            script.brief(f"p{n}", "docs", f"part {n} of question {question[1]}, straggles {question[2]}", sources="1")
            for n in range(PARTS)
        )
        return script.split(*parts)

    async def worked(asked: Asked) -> Message:
        found = _PART.search(asked.text)
        assert found, asked.text
        part, question, straggles = int(found[1]), int(found[2]), found[3]
        call = "answering" if script.used(asked) else "searching"
        asked_before[(*found.groups(), call)] += 1
        first = asked_before[(*found.groups(), call)] == 1
        timing = Timing.of(question, pace)
        late = part == 0 and straggles == call and first
        # Where the first call is stuck, the answer is asked for by whoever began again.
        again = not first or (part == 0 and (straggles, call) == ("searching", "answering"))
        whole = timing.again if again else timing.parts[part]
        share = SEARCHING if call == "searching" else 1 - SEARCHING
        if straggles != "hurried":
            await asyncio.sleep(LATE * MEDIAN * pace if late else share * whole)
        if call == "searching":
            return UseTools(Tool("search", query="first one counts"))
        return script.findings(script.claim(f"Fact {part} is written once.", ("concepts.md", "the first one counts")))

    api.on(script.of("plan"), every=after(PLANNING * pace, planned))
    api.on(script.of("research"), every=worked)
    api.on(script.of("weigh"), every=after(WEIGHING * pace, script.weighed))
    api.on(script.of("write"), every=after(WRITING * pace, script.written))


def after(seconds: float, reply: Callable[[Asked], Message]) -> Callable[[Asked], Awaitable[Message]]:
    async def answer(asked: Asked) -> Message:
        await asyncio.sleep(seconds)
        return reply(asked)

    return answer
