"""The Brave Search API: ``GET /res/v1/web/search``."""

from __future__ import annotations

import httpx2
from msgspec import Struct

from concertino.web.providers.port import Hit, asked, checked, hit

URL = "https://api.search.brave.com"
KEY = "BRAVE_API_KEY"
_MOST = 20


class _Result(Struct):
    url: str = ""
    title: str | None = None
    description: str | None = None
    page_age: str | None = None


class _Web(Struct):
    results: list[_Result] = []


class _Answer(Struct):
    web: _Web | None = None


class Brave:
    """``key`` is sent to ``url`` and nowhere else."""

    name = "Brave"

    def __init__(self, key: str, url: str = URL) -> None:
        self._key, self._url = key, url.rstrip("/")

    async def search(self, query: str, limit: int) -> list[Hit]:
        """See :class:`~concertino.web.providers.port.Provider`."""
        params: dict[str, str | int] = {"q": _few_words(checked(query)), "count": min(limit, _MOST)}
        headers = {"Accept": "application/json", "X-Subscription-Token": self._key}
        request = httpx2.Request("GET", f"{self._url}/res/v1/web/search", params=params, headers=headers)
        answer = await asked(self.name, request, _Answer, f"is the key in {KEY} right, and its plan one with web search?")
        results = answer.web.results if answer.web else []
        return [hit(r.url, r.title, r.description, r.page_age) for r in results if r.url][:limit]


def _few_words(query: str) -> str:
    """It takes fifty."""
    return " ".join(query.split()[:50])
