"""Work of kind ``web``."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from concertino.contracts.messages import Announcement, Result, Subtask
from concertino.model import prompts
from concertino.model.port import Model
from concertino.runtime.settings import Settings
from concertino.web import toolset
from concertino.web.beginning import SEARCH
from concertino.web.research import research
from concertino.worker import Context, Worker

READS = (
    "Reads pages of the public web (HTML, PDF, text) whose addresses the task or the brief gives, and quotes what answers. "
    "Give it addresses: it cannot search here."
)
SEARCHES = (
    "Searches the public web and reads its pages (HTML, PDF, text), also those whose addresses the task or the brief gives, "
    "and quotes what answers, with each page's date and standing."
)
_PROMPT = Path(__file__).with_name("web.md")


def announced(announcement: Announcement, settings: Settings, model: Model) -> Announcement:
    """What this installation's worker can do. :class:`~concertino.contracts.errors.BadSetting` where a setting is wrong."""
    abilities = dict(toolset.abilities(settings, model))
    public = (toolset.WEB.name, *abilities)
    announcement = structs.replace(announcement, tools=tuple(abilities), abilities=abilities, public=public)
    return structs.replace(announcement, description=SEARCHES, sources=()) if SEARCH in abilities else announcement


worker = Worker("web", READS, sources=("web",), tools=("fetch", "search"), slots=8, adapt=announced)


@worker.handle
async def handle(_: Subtask, context: Context) -> Result:
    """The passages of the web that answer the brief."""
    web = toolset.made(context)
    try:
        return await research(context, web, prompts.load(_PROMPT))
    finally:
        await web.close()
