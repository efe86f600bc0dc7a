"""What every search engine gives: addresses worth fetching. Their snippets point at pages; they are no evidence."""

from __future__ import annotations

import html
import re
from typing import Any, Protocol

import httpx2
import msgspec
from msgspec import Struct

from concertino.contracts.errors import BadSetting, Invalid, Transient

MOST_SECONDS = 20.0
MOST_BYTES = 4 * 1024 * 1024
LONGEST_QUERY = 400
"""Characters: what the strictest engine takes."""
_LONGEST_TITLE, _LONGEST_SNIPPET = 200, 500

_TAG = re.compile(r"</?\w[^<>]*>")


class Hit(Struct, frozen=True):
    """A page as the engine tells of it. ``published`` is a date if it knows one, in whatever form it has it."""

    url: str
    title: str = ""
    snippet: str = ""
    published: str = ""


class Provider(Protocol):
    """A search engine."""

    @property
    def name(self) -> str: ...

    async def search(self, query: str, limit: int) -> list[Hit]:
        """The best ``limit`` pages, best first.

        :class:`~concertino.contracts.errors.BadSetting` where it does not accept the key, or does not speak the format,
        :class:`~concertino.contracts.errors.Transient` where it may do better later.
        """


def hit(url: str, title: str | None, snippet: str | None, published: str | None) -> Hit:
    """One, with what a page's author put into it bounded and taken out of its markup."""
    return Hit(url, _plain(title)[:_LONGEST_TITLE], _plain(snippet)[:_LONGEST_SNIPPET], _plain(published)[:40])


def checked(query: str) -> str:
    """``query`` as engines take it. :class:`Invalid` where it is blank."""
    plain = " ".join(query.split())
    if not plain:
        raise Invalid("web_search: give the words to search for")
    return plain[:LONGEST_QUERY]


async def asked(name: str, request: httpx2.Request, form: type[Any], hint: str) -> Any:
    """The answer to ``request`` as ``form``. ``hint`` says what to look at where the engine turns it down."""
    try:
        async with httpx2.AsyncClient(timeout=MOST_SECONDS) as client:
            response = await client.send(request, stream=True)
            try:
                data = await _body(response)
            finally:
                await response.aclose()
    except httpx2.TransportError as e:
        raise Transient(f"{name} cannot be reached ({str(e) or type(e).__name__}): the search may work later") from e
    code = response.status_code
    if code in {408, 425, 429} or code >= 500:
        raise Transient(f"{name} answers {code} {response.reason_phrase}: the search may work later")
    if code != 200:
        raise BadSetting(f"{name} turns the search down with {code} {response.reason_phrase}: {hint}")
    try:
        return msgspec.json.decode(data, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise BadSetting(f"{name} does not answer in its format ({e}): {hint}") from e


async def _body(response: httpx2.Response) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes(65_536):
        data += chunk
        if len(data) > MOST_BYTES:
            break  # cut, and so no JSON: told as that
    return bytes(data)


def _plain(text: str | None) -> str:
    return " ".join(html.unescape(_TAG.sub("", text or "")).split())
