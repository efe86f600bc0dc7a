"""Nothing that the code worker reads out holds a credential: not to a model, not in a quote, not in the log."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import structs

from concertino.code.secrets import masked
from concertino.retrieval.search import Hit, SearchResult
from concertino.worker.passages import changed

T = TypeVar("T")


def hiding(tool: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """``tool``, its passages masked. It keeps its name, signature and description."""

    @functools.wraps(tool)
    async def hidden_tool(**arguments: Any) -> Any:
        return hidden(await tool(**arguments))

    return hidden_tool


def hidden(value: T) -> T:
    """``value`` with every passage in it masked, however it is wrapped; itself where nothing had to be."""
    value = changed(value, masked)
    if isinstance(value, SearchResult) and any(_about(hit) != hit.about for hit in value.hits):
        return structs.replace(value, hits=tuple(structs.replace(hit, about=_about(hit)) for hit in value.hits))
    return value


def _about(hit: Hit) -> str:
    return masked(structs.replace(hit.passage, text=hit.about)).text
