"""Work of kind ``docs``."""

from __future__ import annotations

from concertino.contracts.messages import Result, Subtask
from concertino.docs.tools import Docs
from concertino.worker import Context, Worker
from concertino.worker.reading import research

worker = Worker(
    "docs",
    "Reads documentation and documents (Markdown, reStructuredText, text, HTML, PDF, Word, notebooks, OpenAPI) in folders, "
    "files and at URLs, and quotes what answers.",
    sources=("docs",),
    tools=("search", "read", "outline", "list_documents"),
)


@worker.handle
async def handle(_: Subtask, context: Context) -> Result:
    """The passages of the brief's documents that answer it."""
    return await research(context, Docs.open)
