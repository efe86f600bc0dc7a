"""Work of kind ``general``."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from concertino.contracts.messages import Announcement, Result, Subtask
from concertino.general.research import research
from concertino.model import prompts
from concertino.model.port import Model
from concertino.runtime.settings import Settings
from concertino.worker import Context, Worker
from concertino.worker.toolsets import Toolset, installed

_PROMPT = Path(__file__).with_name("general.md")


def announced(announcement: Announcement, settings: Settings, model: Model) -> Announcement:
    """The kinds of source and the tools of every toolset that is installed beside it."""
    toolsets = installed().values()
    abilities = {
        toolset.qualified(tool): ability for toolset in toolsets for tool, ability in toolset.abilities(settings, model).items()
    }
    sources = tuple(dict.fromkeys(kind for toolset in toolsets for kind in toolset.sources))
    public = tuple(name for toolset in toolsets if toolset.public for name in _of(toolset, settings, model))
    return structs.replace(announcement, sources=sources, tools=tuple(abilities), abilities=abilities, public=public)


def _of(toolset: Toolset, settings: Settings, model: Model) -> list[str]:
    return [*toolset.sources, *map(toolset.qualified, toolset.abilities(settings, model))]


worker = Worker(
    "general",
    "Takes on a role that the plan gives it (role, instructions), with tools that the plan names: for what no other kind is "
    "made for. Never private sources and the open web in one subtask.",
    adapt=announced,
)


@worker.handle
async def handle(_: Subtask, context: Context) -> Result:
    """What somebody in the brief's role finds with the brief's tools."""
    return await research(context, installed(), prompts.load(_PROMPT))
