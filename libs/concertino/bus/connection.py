"""One connection of nats-py that comes back for ever, and says once when it is lost and when it stands again."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import nats.errors
import structlog
from nats.aio.client import Client

from concertino.bus.access import Access
from concertino.bus.fastclient import FastClient, NoTlsError, refused
from concertino.contracts.errors import BadSetting, BusUnavailable, Refused

RETRY_PAUSE = 0.2
CONNECT_WITHIN = 5.0
GREETED_WITHIN = 2.0
"""Seconds for a server that takes the connection to say so, of however little patience a caller is: it may be busy."""

ANYBODY = Access()

CLOSED_WITHIN = 1.0

_DENIED = re.compile(r"(?i)permissions violation for (?:publish|subscription) to \"([^\"]*)\"")

log = structlog.get_logger(__name__)


def _nothing() -> None:
    """For a caller who need not know."""


def _not_denied(subject: str) -> None:
    """The same."""


async def dial(
    url: str,
    name: str,
    *,
    patience: float,
    lost: Callable[[], None] = _nothing,
    back: Callable[[], None] = _nothing,
    closed: Callable[[], None] = _nothing,
    denied: Callable[[str], None] = _not_denied,
    access: Access = ANYBODY,
) -> FastClient:
    """A connection to one of the servers in ``url`` (separated by commas).

    ``lost`` is called when it breaks, ``back`` when it stands again (both may come often), ``closed`` when it ends for good,
    ``denied`` with each subject, in lower case, that the server does not let this user have.
    Raises :class:`BusUnavailable` where nothing answers within ``patience`` seconds, :class:`Refused` for wrong credentials and
    :class:`BadSetting` for a URL, credentials or certificates that cannot be used.
    """
    servers = [_checked(server.strip()) for server in url.split(",")]
    given = access.options()
    nc = FastClient()
    stood = stands = False
    last: Exception = TimeoutError()

    async def on_error(error: Exception) -> None:
        nonlocal last
        last = error
        if found := _DENIED.search(str(error)):
            denied(found[1].lower())
        # Raising in here would kill nats-py's read loop without a word. While there is no connection every attempt ends here.
        say = log.warning if stands or refused(error) else log.debug
        say("connection to the NATS server", error=reason(error))

    async def on_lost() -> None:
        nonlocal stands
        if stands and not nc.is_closed:
            stands = False
            log.warning("the connection to the NATS server is lost; trying again until it is back", server=_public(url))
            lost()

    async def on_back() -> None:
        nonlocal stands
        stands = True
        log.info("the connection to the NATS server is back", server=_public(url))
        back()

    async def on_closed() -> None:
        if stood:
            closed()

    options: dict[str, Any] = {
        "servers": servers,
        "name": name,
        # The first connection is to fail fast: nats-py would try for ever.
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": RETRY_PAUSE,
        "connect_timeout": min(CONNECT_WITHIN, max(patience, GREETED_WITHIN)),
        "ping_interval": 10,
        "max_outstanding_pings": 2,
        "pending_size": 8 * 1024 * 1024,
        "error_cb": on_error,
        "disconnected_cb": on_lost,
        "reconnected_cb": on_back,
        "closed_cb": on_closed,
        **given,
    }
    clock = asyncio.get_running_loop().time
    give_up = clock() + patience
    while True:
        try:
            await nc.connect(**options)
            break
        except (OSError, TimeoutError, nats.errors.Error) as e:
            with contextlib.suppress(OSError, TimeoutError, nats.errors.Error):
                # After a TLS handshake that failed, asyncio never says that the socket is closed.
                async with asyncio.timeout(CLOSED_WITHIN):
                    await nc.close()
            last = last if isinstance(e, nats.errors.NoServersError) else e
        if isinstance(last, ssl.SSLError | NoTlsError):
            raise Refused(
                f"no TLS with the NATS server at {_public(url)} ({reason(last)}): "
                "correct CTN_NATS_CA, CTN_NATS_TLS_NAME or the server"
            ) from last
        if refused(last):
            raise Refused(f"the NATS server at {_public(url)} refuses the user: correct the credentials") from last
        if clock() + RETRY_PAUSE > give_up:
            raise BusUnavailable(
                f"no NATS server answers at {_public(url)} ({reason(last)}): "
                "start one with JetStream on (`nats-server -js`), or correct --nats or CTN_NATS_URL"
            ) from last
        await asyncio.sleep(RETRY_PAUSE)
        nc = FastClient()
    # Once it stood, it is worth coming back to for ever.
    stood = stands = True
    nc.options |= {"allow_reconnect": True, "max_reconnect_attempts": -1, "connect_timeout": CONNECT_WITHIN}
    return nc


async def hang_up(nc: Client) -> None:
    """Close ``nc`` for good, in whatever state its server left it."""
    task = asyncio.current_task()
    try:
        with contextlib.suppress(nats.errors.Error):
            try:
                await nc.close()
            except OSError:
                # The server went away with something still to be sent to it: nats-py gives up half way, and holds itself for
                # closed. What was to be sent is forgotten by then, so that a second time gets through.
                nc._status = Client.DISCONNECTED
                await nc.close()
    except asyncio.CancelledError:
        # Closing cancels the task that reads, and where that waits for the very same end, whoever closes is told so, too.
        if task is None or task.cancelling():
            raise


def reason(error: Exception) -> str:
    """What ``error`` says, or its type where it says nothing."""
    return str(error) or type(error).__name__


def _checked(server: str) -> str:
    """``server`` if it is an address; its scheme may be left out, as nats-py allows."""
    try:
        parts = urlsplit(server if "://" in server else f"nats://{server}")
        if parts.scheme in ("nats", "tls", "ws", "wss") and parts.hostname and parts.port != 0:
            return server
        problem = f"scheme {parts.scheme!r}" if parts.hostname else "no host"
    except ValueError as e:
        problem = str(e)
    raise BadSetting(f"{_without_user(server)!r} is no address of a NATS server ({problem}): write it as nats://host:4222")


def _public(url: str) -> str:
    """``url`` without passwords."""
    return ",".join(_without_user(server.strip()) for server in url.split(","))


def _without_user(server: str) -> str:
    scheme, separator, rest = server.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
