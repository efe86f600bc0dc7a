"""Work of kind ``docs``."""

from __future__ import annotations

from pathlib import Path

from concertino.contracts.messages import Result, Subtask
from concertino.docs.toolset import ABILITIES, DOCS
from concertino.model import prompts
from concertino.worker import Context, Worker
from concertino.worker.reading import research

worker = Worker(
    "docs",
    "Reads documentation and documents (Markdown, reStructuredText, text, HTML, PDF, Word, notebooks, OpenAPI) in folders, "
    "files and at URLs, and quotes what answers.",
    sources=DOCS.sources,
    tools=ABILITIES,
)
_PROMPT = Path(__file__).with_name("docs.md")


@worker.handle
async def handle(_: Subtask, context: Context) -> Result:
    """The passages of the brief's documents that answer it."""
    return await research(context, DOCS, prompts.load(_PROMPT))
