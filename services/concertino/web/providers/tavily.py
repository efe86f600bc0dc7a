"""The Tavily API: ``POST /search``."""

from __future__ import annotations

import httpx2
from msgspec import Struct

from concertino.web.providers.port import Hit, asked, checked, hit

URL = "https://api.tavily.com"
KEY = "TAVILY_API_KEY"
_MOST = 20


class _Result(Struct):
    url: str = ""
    title: str | None = None
    content: str | None = None
    published_date: str | None = None


class _Answer(Struct):
    results: list[_Result] = []


class Tavily:
    """``key`` is sent to ``url`` and nowhere else."""

    name = "Tavily"

    def __init__(self, key: str, url: str = URL) -> None:
        self._key, self._url = key, url.rstrip("/")

    async def search(self, query: str, limit: int) -> list[Hit]:
        """See :class:`~concertino.web.providers.port.Provider`."""
        body = {"query": checked(query), "max_results": min(limit, _MOST), "search_depth": "basic"}
        headers = {"Authorization": f"Bearer {self._key}"}
        request = httpx2.Request("POST", f"{self._url}/search", json=body, headers=headers)
        answer = await asked(self.name, request, _Answer, f"is the key in {KEY} right?")
        return [hit(r.url, r.title, r.content, r.published_date) for r in answer.results if r.url][:limit]
