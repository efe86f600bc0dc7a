"""One connection of nats-py that comes back for ever, and says once when it is lost and when it stands again."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client

from concertino.contracts.errors import BadSetting, BusUnavailable, Refused

RETRY_PAUSE = 0.2

log = structlog.get_logger(__name__)


def _nothing() -> None:
    """For a caller who need not know."""


async def dial(
    url: str,
    name: str,
    *,
    patience: float,
    lost: Callable[[], None] = _nothing,
    back: Callable[[], None] = _nothing,
    closed: Callable[[], None] = _nothing,
    tls: ssl.SSLContext | None = None,
    credentials: str | None = None,
) -> Client:
    """A connection to one of the servers in ``url`` (separated by commas).

    ``lost`` is called when it breaks, ``back`` when it stands again (both may come often), ``closed`` when it ends for good.
    Raises :class:`BusUnavailable` where nothing answers within ``patience`` seconds, :class:`Refused` for wrong credentials and
    :class:`BadSetting` for a URL or a credentials file that cannot be used.
    """
    nc = Client()
    stood = stands = False

    async def on_error(error: Exception) -> None:
        # Raising in here would kill nats-py's read loop without a word. While there is no connection every attempt ends here.
        say = log.warning if stands else log.debug
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
        "servers": [server.strip() for server in url.split(",")],
        "name": name,
        "allow_reconnect": False,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": RETRY_PAUSE,
        "connect_timeout": 5,
        "ping_interval": 10,
        "max_outstanding_pings": 2,
        "pending_size": 8 * 1024 * 1024,
        "error_cb": on_error,
        "disconnected_cb": on_lost,
        "reconnected_cb": on_back,
        "closed_cb": on_closed,
    }
    if tls:
        options["tls"] = tls
    if credentials:
        options["user_credentials"] = credentials
    clock = asyncio.get_running_loop().time
    give_up = clock() + patience
    while True:
        try:
            await nc.connect(**options)
            break
        except nats.errors.AuthorizationError as e:
            raise Refused(f"the NATS server at {_public(url)} refuses the user: correct the credentials") from e
        except (OSError, TimeoutError, nats.errors.Error) as e:
            with contextlib.suppress(OSError, TimeoutError, nats.errors.Error):
                await nc.close()
            if isinstance(e, FileNotFoundError | PermissionError) and credentials:
                raise BadSetting(f"the credentials file {credentials} cannot be read: {e.strerror}") from e
            if clock() + RETRY_PAUSE > give_up:
                raise BusUnavailable(
                    f"no NATS server answers at {_public(url)} ({reason(e)}): "
                    "start one with JetStream on (`nats-server -js`), or correct --nats or CTN_NATS_URL"
                ) from e
            await asyncio.sleep(RETRY_PAUSE)
            nc = Client()
        except ValueError as e:
            raise BadSetting(f"{_public(url)} is no address of a NATS server ({e}): write it as nats://host:4222") from e
    # The first connection fails fast; once it stood, it is worth coming back to for ever.
    stood = stands = True
    nc.options["allow_reconnect"] = True
    return nc


def reason(error: Exception) -> str:
    """What ``error`` says, or its type where it says nothing."""
    return str(error) or type(error).__name__


def _public(url: str) -> str:
    """``url`` without passwords."""
    return ",".join(_without_user(server.strip()) for server in url.split(","))


def _without_user(server: str) -> str:
    scheme, separator, rest = server.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
