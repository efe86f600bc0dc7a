"""Which search engine ``CTN_SEARCH`` names."""

from __future__ import annotations

import os
from collections.abc import Mapping

from concertino.contracts.errors import BadSetting, SourceError
from concertino.documents.fetch import parse
from concertino.web.providers import brave, tavily
from concertino.web.providers.port import Provider
from concertino.web.providers.searxng import SearXNG

_FORMS = "searxng:https://HOST, brave or tavily (the last two also as brave:https://GATEWAY)"


def provider(search: str, environment: Mapping[str, str] | None = None) -> Provider | None:
    """The engine that ``search`` (the setting) names; None where it is empty. :class:`BadSetting` where it names none."""
    environment = os.environ if environment is None else environment
    name, _, url = search.strip().partition(":")
    if url:
        try:
            parse(url)
        except SourceError as e:
            raise BadSetting(f"CTN_SEARCH: {e}; it takes {_FORMS}") from e
    match name.lower():
        case "":
            return None
        case "searxng" if url:
            return SearXNG(url)
        case "brave":
            return brave.Brave(_key(environment, brave.KEY), url or brave.URL)
        case "tavily":
            return tavily.Tavily(_key(environment, tavily.KEY), url or tavily.URL)
    raise BadSetting(f"CTN_SEARCH: {search!r} names no search engine; it takes {_FORMS}")


def _key(environment: Mapping[str, str], name: str) -> str:
    if key := environment.get(name, "").strip():
        return key
    raise BadSetting(f"CTN_SEARCH needs a key for that engine, and there is none: set {name}")
