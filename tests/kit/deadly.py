"""A worker that its work ends: `params.how` says by what. ``KIND`` is whose work it takes."""

import asyncio
import ctypes
import os
import resource
import time
from pathlib import Path

from concertino.worker import Context, Finding, Subtask, Worker

KIND = os.environ.get("DEADLY_KIND", "deadly")
worker = Worker(KIND, "Ends with its work. For tests.", slots=2, internal=KIND != "deadly")


@worker.handle
async def deadly(brief: Subtask, context: Context) -> list[Finding]:
    match brief.params.get("how", os.environ.get("DEADLY_HOW", "")):
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "memory":
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
            hoard = []
            try:
                while True:
                    hoard.append(bytearray(1 << 20))
            except MemoryError:
                os.abort()  # as the kernel would end it, which gives nobody a chance to say so
        case "thread":
            await asyncio.to_thread(time.sleep, 3600)
    return [Finding(claim=brief.objective)]


if __name__ == "__main__":
    worker.run()
