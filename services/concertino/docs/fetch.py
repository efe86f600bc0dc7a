"""A document behind a URL: fetched once, within limits of time, size and redirects."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from http import HTTPStatus

import httpx2
from msgspec import Struct

from concertino.contracts.errors import SourceError, Transient
from concertino.docs.transport import CheckedTransport, Resolve, resolve

MOST_BYTES = 20 * 1024 * 1024
"""On the way and unpacked."""

MOST_SECONDS = 30.0
"""From the first look-up to the last byte."""

MOST_REDIRECTS = 5

_AGENT = "Concertino (documents named by a user)"
_ACCEPT = "text/markdown, text/html;q=0.9, application/pdf;q=0.9, */*;q=0.5"


class Fetched(Struct, frozen=True):
    """What a server sent. ``url`` is where it came from in the end; ``content_type`` is lower case, without parameters."""

    url: str
    data: bytes
    content_type: str
    charset: str | None


async def fetch(
    url: str, *, seconds: float = MOST_SECONDS, most_bytes: int = MOST_BYTES, resolve: Resolve = resolve
) -> Fetched:
    """The document at ``url``.

    :class:`SourceError` where the address is wrong, refused, gone, needs a login, or holds too much; :class:`Transient`
    where the server or the network may do better later. Both name the address, without credentials, and say what to do.
    """
    parsed = parse(url)
    name = shown(parsed)
    try:
        async with asyncio.timeout(seconds), CheckedTransport(resolve=resolve) as transport:
            client = httpx2.AsyncClient(
                transport=transport,
                timeout=httpx2.Timeout(seconds),
                follow_redirects=True,
                max_redirects=MOST_REDIRECTS,
                headers={"User-Agent": _AGENT, "Accept": _ACCEPT, "Accept-Encoding": "gzip"},
                trust_env=False,  # no .netrc: credentials of the machine are not for addresses that a task names
            )
            async with client, client.stream("GET", parsed) as response:
                _check(response, name)
                return _fetched(response, await _body(response, name, most_bytes))
    except (SourceError, Transient) as e:
        raise e if str(e).startswith(name) else type(e)(f"{name}: {e}") from e
    except (TimeoutError, httpx2.TimeoutException) as e:
        raise Transient(f"{name}: no whole answer within {seconds:g} s: try again, or save it and give the file") from e
    except httpx2.TooManyRedirects as e:
        raise SourceError(f"{name}: over {MOST_REDIRECTS} redirects: give the address where it ends") from e
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as e:
        raise SourceError(f"{name}: leads to an address that cannot be fetched ({e}): save it and give the file") from e
    except httpx2.TransportError as e:
        if certificate := _certificate(e):
            raise SourceError(f"{name}: its certificate is not valid here ({certificate}): save it and give the file") from e
        raise Transient(f"{name}: no connection ({str(e) or type(e).__name__}): check the address and the network") from e


def parse(url: str) -> httpx2.URL:
    """``url`` if it is one that can be fetched; else :class:`SourceError`."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as e:
        raise SourceError(f"{url[:200]!r} is no URL ({e}): give it as https://host/path") from e
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SourceError(f"{url[:200]!r} is no web address: give it as https://host/path")
    return parsed


def shown(url: httpx2.URL) -> str:
    """The address as it may be shown: without user, password and fragment."""
    return str(url.copy_with(username=None, password=None, fragment=None))


def _check(response: httpx2.Response, name: str) -> None:
    code = response.status_code
    reason = f"{name}: the server says {code} {response.reason_phrase}".rstrip()
    if code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise SourceError(f"{reason}: check the address")
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        raise SourceError(f"{reason}: it may not be read from here; save it and give the file")
    if code in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS} or code >= 500:
        raise Transient(f"{reason}: try again later")
    if code != HTTPStatus.OK:
        raise SourceError(f"{reason}: open it in a browser, save it and give the file")


async def _body(response: httpx2.Response, name: str, most: int) -> bytes:
    """All bytes, unpacked under our own eyes: a few kilobytes of gzip may stand for gigabytes."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip", ""}:
        raise SourceError(f"{name}: sent as {encoding[:40]!r}, which was not asked for: save it and give the file")
    unpack = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
    data = bytearray()
    async for chunk in response.aiter_raw():
        try:
            data += unpack.decompress(chunk, most + 1 - len(data)) if unpack else chunk
        except zlib.error as e:
            raise Transient(f"{name}: the compressed answer is damaged ({e}): try again") from e
        if len(data) > most:
            raise SourceError(f"{name}: over the limit of {most} bytes: save the part that matters and give the file")
    if unpack and not unpack.eof:
        raise Transient(f"{name}: the compressed answer is cut off: try again")
    return bytes(data)


def _fetched(response: httpx2.Response, data: bytes) -> Fetched:
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Fetched(shown(response.url), data, content_type, response.charset_encoding)


def _certificate(e: BaseException) -> str:
    """Why the certificate was not accepted, if that is what ``e`` comes from."""
    cause: BaseException | None = e
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return ""
