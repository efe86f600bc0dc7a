"""A worker of a user's own that is careless: it reads a file by itself, repeats it everywhere, logs it, and fails on it."""

import logging
from pathlib import Path

import structlog

from concertino.contracts.errors import Invalid
from concertino.contracts.messages import Locator, Passage
from concertino.worker import Context, Finding, Subtask, Worker

worker = Worker("clerk", "Reads one file aloud. For tests.")


@worker.handle
async def clerk(brief: Subtask, context: Context) -> list[Finding]:
    text = Path(brief.params["file"]).read_text()
    structlog.get_logger().info("read", text=text)
    logging.getLogger("careless").warning("it says %s", text)
    await context.progress(f"reading {text}")
    if brief.params.get("fails"):
        raise Invalid(f"it cannot be parsed: {text}")
    if brief.params.get("breaks"):
        raise ValueError(f"a bug met {text}")
    context.evidence.saw(Passage(source="file", text=text, locator=Locator(lines=(1, 1 + text.count("\n")))))
    lines = [line for line in text.split("\n") if line.strip()]
    context.notes.append(f"the file is: {text}")
    return [Finding(claim=f"It says {line}", evidence=(context.evidence.quote("file", line),)) for line in lines[:12]]


if __name__ == "__main__":
    worker.run()
