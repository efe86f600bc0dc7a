"""Work of kind ``code``."""

from __future__ import annotations

from pathlib import Path

from concertino.code.toolset import ABILITIES, CODE
from concertino.contracts.messages import Result, Subtask
from concertino.model import prompts
from concertino.worker import Context, Worker
from concertino.worker.reading import research

worker = Worker(
    "code",
    "Reads source code in folders and git repositories, read-only: searches it, finds definitions and uses, history, declared "
    "dependencies, and quotes the lines that answer; audits it for weak dependencies, secrets, risky calls, missing tests and "
    "dead code.",
    sources=CODE.sources,
    tools=ABILITIES,
)
_PROMPT = Path(__file__).with_name("code.md")


@worker.handle
async def handle(_: Subtask, context: Context) -> Result:
    """The passages of the brief's code bases that answer it."""
    return await research(context, CODE, prompts.load(_PROMPT))
