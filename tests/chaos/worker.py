"""A user's own worker, as a run needs it: it counts what it has done whole, and dies where it is told to.

``CHAOS_KIND`` is its kind. ``CHAOS_DONE`` is a folder: a file there for each time that a subtask was done whole.
"""

import asyncio
import os
import signal
from pathlib import Path

from concertino.worker import Context, Finding, Subtask, Worker

worker = Worker(os.environ["CHAOS_KIND"], "Counts what it has done. For chaos.", slots=int(os.environ.get("CHAOS_SLOTS", "16")))


@worker.handle
async def handle(brief: Subtask, context: Context) -> list[Finding]:
    if brief.params.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(float(brief.params.get("seconds", 0)))
    if folder := os.environ.get("CHAOS_DONE"):
        work = context.work
        Path(folder, f"{work.task} {work.id} {os.getpid()} {asyncio.get_running_loop().time():.6f}").touch()
    return [Finding(claim=brief.objective)]


if __name__ == "__main__":
    worker.run()
