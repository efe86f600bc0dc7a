"""The web as a toolset: for the worker of kind ``web``, and for whoever takes up its tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

from concertino.contracts.messages import Source
from concertino.documents.addresses import networks
from concertino.model.port import Model
from concertino.runtime.settings import Settings
from concertino.web.beginning import SEARCH, begin, hosted
from concertino.web.fetcher import Fetcher
from concertino.web.providers import provider
from concertino.web.tools import Web
from concertino.worker import Context
from concertino.worker.toolsets import Toolset

_SEARCHING: dict[str, str] = {SEARCH: "find pages on the whole web"}
_READING = {"fetch": "read a page by its address", "search": "find passages in the pages fetched so far"}

_fetchers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Fetcher]] = WeakKeyDictionary()


def abilities(settings: Settings, model: Model) -> Mapping[str, str]:
    """The tools of this installation. :class:`~concertino.contracts.errors.BadSetting` where a setting of theirs is wrong."""
    networks(settings.allow_networks)
    searches = provider(settings.search) is not None or SEARCH in model.hosts
    return {**_SEARCHING, **_READING} if searches else _READING


def made(context: Context) -> Web:
    """The web for one brief, nothing fetched yet. What is known of hosts is shared by all briefs of the process."""
    settings = context.settings
    mine = _fetchers.setdefault(asyncio.get_running_loop(), {})
    if settings.allow_networks not in mine:
        mine[settings.allow_networks] = Fetcher(networks(settings.allow_networks))
    return Web(mine[settings.allow_networks], None if hosted(context) else provider(settings.search))


async def open_web(context: Context, sources: Sequence[Source]) -> Web:
    """The web with the pages that ``sources`` and the brief name. Raises what :func:`.beginning.begin` raises."""
    web = made(context)
    try:
        await begin(context, web, sources)
    except BaseException:
        await web.close()
        raise
    return web


WEB = Toolset(
    name="web", sources=("web",), open=open_web, abilities=abilities, public=True, names={SEARCH: SEARCH, "search": "web_find"}
)
