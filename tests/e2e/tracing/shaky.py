"""A worker that does by its objective what tracing is for: it fails, fails once, dies once, calls tools, takes long."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from concertino.client import Client
from concertino.contracts.errors import ConcertinoError, SourceError, Transient
from concertino.contracts.messages import Usage
from concertino.model.port import Call
from concertino.worker import Context, Finding, Subtask, Worker

worker = Worker("shaky", "Is shaky. For tests.")
SPENT = Usage(model_calls=1, input_tokens=100, output_tokens=10)
_tried: set[str] = set()


async def look(query: str) -> str:
    """Looks."""
    return f"hush-page about {query}"


async def break_(query: str) -> str:
    """Breaks."""
    raise SourceError(f"hush-error about {query}")


@worker.handle
async def handle(brief: Subtask, context: Context) -> list[Finding]:
    logging.getLogger("library").warning("a library's warning")
    first = brief.id not in _tried
    _tried.add(brief.id)
    match brief.objective:
        case "fail":
            raise SourceError("hush-error")
        case "fail once" if first:
            raise Transient("hush-error")
        case "die once" if not (mark := Path(brief.params["mark"])).exists():
            while not await told(context):
                await asyncio.sleep(0.05)
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case "use tools":
            context.tools.add(look, break_)
            await context.tools.call("look", query="hush-query")
            for failing in (
                lambda: context.tools.call("break_", query="hush-query"),
                lambda: context.tools.call("hush-made-up"),
            ):
                await fails(failing)
        case "slow at first":
            context.hooks.on_call(Call(model="made-up", usage=SPENT, seconds=0.1, ended="end_turn"))
            if not (mark := Path(brief.params["mark"])).exists():
                mark.touch()
                await asyncio.sleep(60)
        case "take a while":
            (mark := Path(brief.params["mark"])).touch()
            while mark.exists():
                await asyncio.sleep(0.05)
        case "take long":
            await asyncio.sleep(250)
    loaded = any(name.startswith("opentelemetry") for name in list(sys.modules))  # a thread may import another meanwhile
    return [Finding(claim="opentelemetry" if loaded else "nothing")]


async def told(context: Context) -> bool:
    """Whether the log says that this attempt has begun."""
    async with Client() as client:
        return any(fact.name.type == "begun" for fact in await client.facts(context.work.task))


async def fails(call: Callable[[], Awaitable[object]]) -> None:
    try:
        await call()
    except ConcertinoError:
        return
    raise AssertionError("it was to fail")


if __name__ == "__main__":
    worker.run()
