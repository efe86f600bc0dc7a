"""The model's API of a run, in a process of its own: ``python -m tests.chaos.model SEED ADDRESS CALLS``.

It writes its address into the file ADDRESS. Told to end (SIGTERM), it writes into CALLS what was asked of it and what became
of that: its own count, which the verdict is taken from."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct
from tests.chaos import answers
from tests.chaos.answers import Turn

from concertino.testing import Asked, Break, Fault, Hang, MessagesApi, Raw, Reply


class Call(Struct, frozen=True):
    """A request that reached the API. Times are Unix seconds."""

    turn: Turn
    at: float
    message: str = ""
    """The id of the message that was made for it; empty: none was."""
    whole: bool = False
    """Whether that was sent to its end, with somebody there to hear it."""
    left: bool = False
    """Whether the client hung up before."""


class Calls(Struct, frozen=True):
    """All that the API has to say of a run."""

    calls: tuple[Call, ...]
    unexpected: tuple[str, ...] = ()
    """Requests that nothing is scripted for, or that the API would refuse, and why."""


class Counting:
    """Answers by :mod:`.answers`, and remembers what was asked."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._times: Counter[Turn] = Counter()
        self._asked: list[tuple[Asked, Turn, float]] = []
        self._broken: set[int] = set()
        self._wrong: list[str] = []

    async def __call__(self, asked: Asked) -> Reply:
        try:
            return await self._reply(asked)
        except Exception as e:
            self._wrong.append(f"{asked.text[-200:]}: {e!r}")
            raise

    async def _reply(self, asked: Asked) -> Reply:
        turn = answers.turn_of(asked)
        self._times[turn] += 1
        nth = self._times[turn]
        self._asked.append((asked, turn, time.time()))
        await asyncio.sleep(answers.latency(self._seed, turn, nth))
        reply = answers.reply(self._seed, asked, turn, nth)
        if isinstance(reply, Break | Fault | Hang | Raw):
            self._broken.add(id(asked))
        return reply

    def told(self, api: MessagesApi) -> Calls:
        made = {id(asked): str(message["id"]) for asked, message in api.answers}
        left = {id(asked) for asked in api.abandoned}
        calls = tuple(
            Call(
                turn,
                at,
                made.get(id(asked), ""),
                whole=id(asked) in made and id(asked) not in left | self._broken,
                left=id(asked) in left,
            )
            for asked, turn, at in self._asked
        )
        return Calls(calls, (*(why for _, why in api.rejected), *self._wrong))


async def serve(seed: int, address: Path, calls: Path) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    counting = Counting(seed)
    async with MessagesApi() as api:
        api.on(lambda _: True, every=counting)
        part = address.with_suffix(".part")
        part.write_text(json.dumps(api.environment()))
        part.rename(address)
        await ended.wait()
        calls.write_bytes(msgspec.json.encode(counting.told(api)))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
