"""A worker that does nothing but answer: for measuring what is around the work. ``params.seconds`` makes it take its time."""

import asyncio

from concertino.worker import Context, Finding, Subtask, Worker

worker = Worker("echo", "Repeats its objective. For tests and benchmarks.", slots=256)


@worker.handle
async def echo(brief: Subtask, context: Context) -> list[Finding]:
    seconds = float(brief.params.get("seconds", 0))
    if seconds:
        await asyncio.sleep(seconds)
    return [Finding(claim=brief.objective)]


if __name__ == "__main__":
    worker.run()
