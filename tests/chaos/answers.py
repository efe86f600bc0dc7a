"""What the model is scripted to say, and which turn of which work a request is. Pure: chance is drawn from a seed."""

from __future__ import annotations

import hashlib
import re
from random import Random

from msgspec import Struct
from tests.chaos import orders
from tests.kit import script

from concertino.testing import Asked, Break, Fault, Hang, Message, Raw, Reply, Tool, UseTools

MEDIAN, SPREAD = 0.3, 0.6
"""Of an answer's latency, in seconds: log-normal."""
TROUBLE = 0.08
"""How many requests are not answered as they should be."""
MOST_TURNS = 4

WRITE_UP = "Give your findings now"
"""Whoever is asked for them before the conversation has come to its end is asked something else than its next turn."""

_BRIEF = re.compile(r"<brief>\n(.*?)\n</brief>", re.DOTALL)


class Turn(Struct, frozen=True):
    """What a request asks for: the same for whoever repeats it, whatever else stands in it."""

    task: str
    work: str
    """Its id, as in the log."""
    role: str
    turn: int
    """How often the model had spoken before in this conversation."""
    about: str = ""
    """What tells apart conversations of one role in one piece of work."""


def turn_of(asked: Asked) -> Turn:
    """Raises :class:`ValueError` for a request that no task of ours makes."""
    role, text = script.role(asked), asked.text
    brief = _BRIEF.search(text)
    found = orders.marks(brief[1] if role == "research" and brief else text)
    if not found:
        raise ValueError(f"a request without a mark: {text[:200]}")
    task, kind, subtask = found[0]
    if role == "research":
        return Turn(task, f"result.{kind}.{subtask}", role, asked.turns, "write up" if WRITE_UP in text else "")
    work = f"plan.{int(orders.GAP in text)}" if role == "plan" else "synthesis.0"
    first = asked.whole["messages"][0] if role == "digest" else None
    about = hashlib.sha256(str(first).encode()).hexdigest()[:12] if first else ""
    return Turn(task, work, role, asked.turns, about)


def latency(seed: int, turn: Turn, time: int) -> float:
    """Seconds until the answer to ``turn``, asked for the ``time``-th time, begins."""
    return Random(f"{seed}/{turn}/{time}").lognormvariate(0, SPREAD) * MEDIAN


def reply(seed: int, asked: Asked, turn: Turn, time: int) -> Reply:
    """What is said to ``turn``, asked for the ``time``-th time: one in twelve is a fault of some sort."""
    random = Random(f"{seed}/{turn}/{time}/reply")
    if random.random() < TROUBLE:
        return _trouble(random)
    return answer(asked, turn)


def _trouble(random: Random) -> Reply:
    return random.choice(
        (
            Fault(429, headers={"retry-after": "1"}),
            Fault(529),
            Fault(500),
            Fault(529, midstream=True),
            Raw(b"<html>502 Bad Gateway</html>", 502, "text/html"),
            Raw(b"event: message_start\ndata: {not json\n\n"),
            Break(),
            Break(after=0),
            Hang(3.0, after=4),
            Hang(3.0),
        )
    )


def answer(asked: Asked, turn: Turn) -> Message:
    """The answer that leads on."""
    match turn.role:
        case "plan":
            return _plan(turn)
        case "weigh":
            gaps = [orders.GAP] if "(second_round)" in asked.text else []
            return script.weighed(asked, gaps=gaps, open_=gaps)
        case "write":
            return script.written(asked)
        case _:
            return _research(asked, turn)


def _plan(turn: Turn) -> Message:
    round_ = int(turn.work.partition(".")[2])
    sources = sorted({orders.source_of(kind) for kind in orders.kinds(turn.task)})
    prefix = "sr"[round_]
    briefs = []
    for number, kind in enumerate(orders.kinds(turn.task, round_)):
        id_, general = f"{prefix}{number}", kind == "general"
        briefs.append(
            script.brief(
                id_,
                kind,
                f"{orders.mark(turn.task, kind, id_)} What is said of retries.",
                sources=str(sources.index(orders.source_of(kind)) + 1),
                tools=list(orders.READER) if general else [],
                role=orders.ROLE if general else "",
                instructions=orders.INSTRUCTIONS if general else "",
                depends_on=[f"{prefix}0"] if number >= 2 else [],
            )
        )
    return script.split(*briefs)


def _research(asked: Asked, turn: Turn) -> Message:
    """Some turns of looking, each in another place, and then what was read there."""
    random = Random(f"{turn.task}/{turn.work}")
    numbers = random.sample(range(orders.CHAPTERS), random.randint(1, MOST_TURNS))
    if asked.tools and turn.turn < len(numbers):
        return UseTools(_look(asked, numbers[turn.turn]))
    read = [number for number in numbers if asked.says(orders.chapter(number))]
    claims = [script.claim(orders.chapter(number), (_source(asked, number), orders.chapter(number))) for number in read]
    return script.findings(*claims, gaps=() if claims else ["nothing was read"])


def _look(asked: Asked, number: int) -> Tool:
    if asked.offers("fetch"):
        return Tool("fetch", url=_page(asked, number))
    if asked.offers("docs_read"):
        return Tool("docs_read", source=f"chapter-{number}.md")
    if asked.offers("grep"):
        return Tool("read", path=f"chapter_{number}.py")
    return Tool("read", source=f"chapter-{number}.md")


def _source(asked: Asked, number: int) -> str:
    if asked.offers("fetch"):
        return _page(asked, number)
    return f"chapter_{number}.py" if asked.offers("grep") else f"chapter-{number}.md"


def _page(asked: Asked, number: int) -> str:
    found = re.search(r"http://[\d.:]+/", asked.text)
    return f"{found[0] if found else ''}chapter-{number}"
