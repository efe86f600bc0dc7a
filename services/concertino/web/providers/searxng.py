"""SearXNG, a search engine of one's own: ``GET /search?format=json``."""

from __future__ import annotations

import httpx2
from msgspec import Struct, field

from concertino.web.providers.port import Hit, asked, checked, hit


class _Result(Struct):
    url: str = ""
    title: str | None = None
    content: str | None = None
    published: str | None = field(default=None, name="publishedDate")


class _Answer(Struct):
    results: list[_Result] = []


class SearXNG:
    """``url`` is that of the installation, as its users open it."""

    name = "SearXNG"

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def search(self, query: str, limit: int) -> list[Hit]:
        """See :class:`~concertino.web.providers.port.Provider`. How many there are it decides itself."""
        request = httpx2.Request("GET", f"{self._url}/search", params={"q": checked(query), "format": "json"})
        answer = await asked(self.name, request, _Answer, "its settings.yml must list json among search.formats")
        return [hit(r.url, r.title, r.content, r.published) for r in answer.results if r.url][:limit]
