"""A document behind a URL: fetched once, within limits of time, size and redirects."""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from http import HTTPStatus

import httpx2
from msgspec import Struct

from concertino.contracts.errors import SourceError, Transient
from concertino.documents.addresses import Networks
from concertino.documents.transport import CheckedTransport, Resolve, resolve
from concertino.telemetry import metrics
from concertino.telemetry.ending import ending

MOST_BYTES = 20 * 1024 * 1024
"""On the way and unpacked."""

MOST_SECONDS = 30.0
"""From the first look-up to the last byte."""

MOST_REDIRECTS = 5

_AGENT = "Concertino (documents named by a user)"
_ACCEPT = "text/markdown, text/html;q=0.9, application/pdf;q=0.9, */*;q=0.5"
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})


class Fetched(Struct, frozen=True):
    """What a server sent. ``url`` is where it came from in the end; ``content_type`` is lower case, without parameters."""

    url: str
    data: bytes
    content_type: str
    charset: str | None


class Answered(Struct, frozen=True):
    """One answer of a server. ``data`` is unpacked, and empty unless the status is 200; ``url`` may hold credentials."""

    url: httpx2.URL
    status: int
    reason: str
    headers: httpx2.Headers
    data: bytes = b""


async def fetch(
    url: str,
    *,
    seconds: float = MOST_SECONDS,
    most_bytes: int = MOST_BYTES,
    allowed: Networks = (),
    resolve: Resolve = resolve,
) -> Fetched:
    """The document at ``url``, from a public address or one of the networks ``allowed``.

    :class:`SourceError` where the address is wrong, refused, gone, needs a login, or holds too much; :class:`Transient`
    where the server or the network may do better later. Both name the address, without credentials, and say what to do.
    """
    parsed = parse(url)
    name = shown(parsed)
    try:
        async with asyncio.timeout(seconds), CheckedTransport(resolve=resolve, allowed=allowed) as transport:
            for _ in range(MOST_REDIRECTS + 1):
                answer = await once(parsed, transport, seconds=seconds, most_bytes=most_bytes)
                target = elsewhere(answer)
                if target is None:
                    return document(answer)
                parsed = target
    except TimeoutError as e:
        raise Transient(_too_slow(name, seconds)) from e
    except (SourceError, Transient) as e:
        raise e if str(e).startswith(name) else type(e)(f"{name}: {e}") from e
    raise SourceError(f"{name}: over {MOST_REDIRECTS} redirects: give the address where it ends")


async def once(
    url: httpx2.URL,
    transport: CheckedTransport,
    *,
    seconds: float = MOST_SECONDS,
    most_bytes: int = MOST_BYTES,
    agent: str = _AGENT,
    cut: bool = False,
) -> Answered:
    """What the server says at ``url`` itself, redirects and errors included. No cookies; credentials only those in ``url``.

    Of more than ``most_bytes`` there is the beginning if ``cut``, else :class:`SourceError`. :class:`Transient` and
    :class:`SourceError` as in :func:`fetch` where there is no whole answer.
    """
    with ending(time.monotonic, lambda how, took: metrics.FETCH_SECONDS.labels(how).observe(took)) as ended:
        answered = await _once(url, transport, seconds, most_bytes, agent, cut)
        ended.how = f"{answered.status // 100}xx"
    return answered


async def _once(
    url: httpx2.URL, transport: CheckedTransport, seconds: float, most_bytes: int, agent: str, cut: bool
) -> Answered:
    name = shown(url)
    timeout = httpx2.Timeout(seconds).as_dict()
    headers = {"User-Agent": agent, "Accept": _ACCEPT, "Accept-Encoding": "gzip"}
    request = httpx2.Request("GET", url.copy_with(fragment=None), headers=headers, extensions={"timeout": timeout})
    if url.username or url.password:
        next(httpx2.BasicAuth(url.username, url.password).sync_auth_flow(request))
    try:
        async with asyncio.timeout(seconds):
            response = await transport.handle_async_request(request)
            try:
                status = response.status_code
                data = await _body(response, name, most_bytes, cut) if status == HTTPStatus.OK else b""
                return Answered(url, status, response.reason_phrase, response.headers, data)
            finally:
                await response.aclose()
    except (SourceError, Transient) as e:
        raise e if str(e).startswith(name) else type(e)(f"{name}: {e}") from e
    except (TimeoutError, httpx2.TimeoutException) as e:
        raise Transient(_too_slow(name, seconds)) from e
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as e:
        raise SourceError(f"{name}: cannot be fetched ({e}): save it and give the file") from e
    except httpx2.TransportError as e:
        if certificate := _certificate(e):
            raise SourceError(f"{name}: its certificate is not valid here ({certificate}): save it and give the file") from e
        what = "no connection" if isinstance(e, httpx2.NetworkError) else "no whole answer"
        raise Transient(f"{name}: {what} ({str(e) or type(e).__name__}): check the address and the network") from e


def elsewhere(answer: Answered) -> httpx2.URL | None:
    """Where a redirect leads; None where it is none. Credentials are for their own origin only, and never the server's choice.

    :class:`SourceError` where it leads out of the web.
    """
    location = answer.headers.get("location", "")
    if answer.status not in _ELSEWHERE or not location:
        return None
    here = answer.url
    try:
        target = here.join(location)
    except httpx2.InvalidURL as e:
        raise SourceError(f"{shown(here)}: leads to what is no address ({e}): save it and give the file") from e
    if not _is_web(target):
        raise SourceError(f"{shown(here)}: leads to an address that cannot be fetched: save it and give the file")
    if target.origin == here.origin:
        return target.copy_with(username=here.username or None, password=here.password or None)
    return target.copy_with(username=None, password=None)


def document(answer: Answered) -> Fetched:
    """The document that ``answer`` brought; else what its status means, as :class:`SourceError` or :class:`Transient`."""
    name = shown(answer.url)
    _check(answer, name)
    content_type = answer.headers.get("content-type", "")
    charset = httpx2.Response(200, headers={"content-type": content_type}).charset_encoding
    return Fetched(name, answer.data, content_type.partition(";")[0].strip().lower(), charset)


def parse(url: str) -> httpx2.URL:
    """``url`` if it is one that can be fetched; else :class:`SourceError`."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as e:
        raise SourceError(f"{url[:200]!r} is no URL ({e}): give it as https://host/path") from e
    if not _is_web(parsed):
        raise SourceError(f"{url[:200]!r} is no web address: give it as https://host/path")
    return parsed


def shown(url: httpx2.URL) -> str:
    """The address as it may be shown: without user, password and fragment."""
    return str(url.copy_with(username=None, password=None, fragment=None))


def _is_web(url: httpx2.URL) -> bool:
    return url.scheme in {"http", "https"} and bool(url.host) and (url.port is None or 0 < url.port < 65_536)


def _check(answer: Answered, name: str) -> None:
    code = answer.status
    reason = f"{name}: the server says {code} {answer.reason}".rstrip()
    if code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise SourceError(f"{reason}: check the address")
    if code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
        raise SourceError(f"{reason}: it may not be read from here; save it and give the file")
    if code in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS} or code >= 500:
        raise Transient(f"{reason}: try again later")
    if code != HTTPStatus.OK:
        raise SourceError(f"{reason}: open it in a browser, save it and give the file")


async def _body(response: httpx2.Response, name: str, most: int, cut: bool) -> bytes:
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
            if cut:
                return bytes(data[:most])
            raise SourceError(f"{name}: over the limit of {most} bytes: save the part that matters and give the file")
    if unpack and not unpack.eof:
        raise Transient(f"{name}: the compressed answer is cut off: try again")
    return bytes(data)


def _too_slow(name: str, seconds: float) -> str:
    return f"{name}: no whole answer within {seconds:g} s: try again, or save it and give the file"


def _certificate(e: BaseException) -> str:
    """Why the certificate was not accepted, if that is what ``e`` comes from."""
    cause: BaseException | None = e
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return ""
