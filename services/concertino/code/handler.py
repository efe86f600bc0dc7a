"""Work of kind ``code``."""

from __future__ import annotations

from concertino.code.code import Code
from concertino.contracts.messages import Result, Subtask
from concertino.worker import Context, Worker
from concertino.worker.reading import research

worker = Worker(
    "code",
    "Reads source code in folders and git repositories, read-only: searches it, finds definitions and uses, history, declared "
    "dependencies and secrets, and quotes the lines that answer.",
    sources=("code",),
    tools=(
        *("search", "grep", "structural", "symbols", "references", "outline"),
        *("read", "list_files", "history", "blame", "dependencies", "secrets"),
    ),
)


@worker.handle
async def handle(_: Subtask, context: Context) -> Result:
    """The passages of the brief's code bases that answer it."""
    return await research(context, Code.open)
