"""Work of kind ``docs``."""

from __future__ import annotations

from pathlib import Path

from concertino.contracts.messages import Announcement, Result, Subtask
from concertino.docs.toolset import ABILITIES, DOCS
from concertino.model import prompts
from concertino.model.port import Model
from concertino.runtime.settings import Settings
from concertino.worker import Context, Worker
from concertino.worker.reading import research


def announced(announcement: Announcement, settings: Settings, model: Model) -> Announcement:
    """As it stands. :class:`~concertino.contracts.errors.BadSetting` where a setting is wrong: better now than at its first
    work."""
    DOCS.abilities(settings, model)
    return announcement


worker = Worker(
    "docs",
    "Reads documentation and documents (Markdown, reStructuredText, text, HTML, PDF, Word, notebooks, OpenAPI) in folders, "
    "files and at URLs, and quotes what answers.",
    sources=DOCS.sources,
    tools=ABILITIES,
    adapt=announced,
)
_PROMPT = Path(__file__).with_name("docs.md")


@worker.handle
async def handle(_: Subtask, context: Context) -> Result:
    """The passages of the brief's documents that answer it."""
    return await research(context, DOCS, prompts.load(_PROMPT))
