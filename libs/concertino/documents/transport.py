"""An HTTP transport that connects to the very addresses it has checked, whatever the name resolves to a moment later."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.request import getproxies, proxy_bypass

import httpx2

from concertino.contracts.errors import SourceError, Transient
from concertino.documents.addresses import Networks, refusal

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses, best first."""

_LOCAL_NAMES = ("localhost", "local", "internal", "intranet", "private", "lan", "corp", "home", "home.arpa")
"""Under these nobody public has a name."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of ``host``. :class:`SourceError` where there is no such host, :class:`Transient` where nobody can say."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as e:
        if e.errno == socket.EAI_AGAIN:
            raise Transient(f"the name {host!r} could not be resolved just now ({e.strerror}): try again") from e
        raise SourceError(f"there is no host {host!r} ({e.strerror}): check the address") from e
    except UnicodeError as e:
        raise SourceError(f"{host!r} is no host name: check the address") from e
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Resolves a name once, refuses what :func:`.addresses.refusal` refuses, and connects to what was checked.

    Where the environment names a proxy, the proxy resolves and connects: what the name resolves to here is checked before, and
    where it does not resolve here, names that only a private network has are refused.
    """

    def __init__(self, *, resolve: Resolve = resolve, allowed: Networks = ()) -> None:
        self._resolve = resolve
        self._allowed = allowed
        # Connections are not kept: the pool would key them by address, and two hosts may share one.
        self._direct = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0))
        self._proxied: dict[str, httpx2.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        proxy = None if proxy_bypass(host) else getproxies().get(request.url.scheme)
        try:
            addresses = await self._resolve(host, port)
        except (SourceError, Transient):
            if proxy is None:
                raise
            if _is_local(host):
                raise SourceError(f"{host} is a name of a private network, and no address of it is known here") from None
            addresses = ()
        for address in addresses:
            if reason := refusal(address, self._allowed):
                raise SourceError(f"{host} is {reason}" if host == address else f"{host} is at {address}, {reason}")
        if proxy is not None:
            if proxy not in self._proxied:
                self._proxied[proxy] = httpx2.AsyncHTTPTransport(proxy=proxy)
            return await self._proxied[proxy].handle_async_request(request)
        return await self._connect(request, addresses)

    async def _connect(self, request: httpx2.Request, addresses: Sequence[str]) -> httpx2.Response:
        """The answer of the first address that can be reached. The certificate is still checked against the name."""
        failure: httpx2.TransportError | None = None
        for address in addresses:
            pinned = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
            try:
                return await self._direct.handle_async_request(pinned)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as e:
                failure = e
        raise failure or httpx2.ConnectError(f"{request.url.host} has no address", request=request)

    async def aclose(self) -> None:
        await self._direct.aclose()
        for transport in self._proxied.values():
            await transport.aclose()


def _is_local(host: str) -> bool:
    name = host.lower().rstrip(".")
    return "." not in name or any(name.endswith(f".{ending}") for ending in _LOCAL_NAMES)
