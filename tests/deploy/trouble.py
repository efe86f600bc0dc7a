"""A worker that makes the trouble that its brief asks for: what dashboards are for."""

import asyncio
import contextlib
import time

from concertino.contracts.errors import SourceError, Transient
from concertino.worker import Context, Finding, Subtask, Worker

worker = Worker("trouble", "Makes trouble. For tests.")
_tried: set[str] = set()


@worker.handle
async def handle(brief: Subtask, context: Context) -> list[Finding]:
    match brief.objective:
        case "fail":
            raise SourceError("on purpose")
        case "fail once" if context.work.task not in _tried:
            _tried.add(context.work.task)
            raise Transient("on purpose")
        case "take long":
            await asyncio.sleep(4)  # the log tells after a second that it has begun
        case "take its time":
            await asyncio.sleep(8)
        case "take no notice of the time":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            await asyncio.sleep(60)
    return [Finding(claim=f"done at {time.time()}")]


if __name__ == "__main__":
    worker.run()
