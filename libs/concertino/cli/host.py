"""A bus for one question: the one that the caller named, or a whole installation for as long as the question takes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from concertino.cli.display import Display
from concertino.cli.fleet.fleet import Fleet, NotStarted
from concertino.cli.fleet.logbook import LogFile
from concertino.cli.fleet.services import Service
from concertino.contracts.errors import BadSetting, ConcertinoError, Invalid, Transient
from concertino.runtime.settings import Settings

DRAIN = 5.0
"""Seconds that services have to leave once the question is answered: nobody waits for their work any more."""


class Host:
    """``url`` is where to ask, ``logs`` what the services said that were brought up."""

    def __init__(self, url: str, logs: Path | None = None) -> None:
        self.url, self.logs = url, logs
        self.failed = False
        """Set it to keep the services' log."""


@asynccontextmanager
async def host(
    config: Settings,
    url: str | None,
    services: Sequence[Service],
    display: Display,
    on_kill: Callable[[Callable[[], None]], None],
) -> AsyncIterator[Host]:
    """The bus at ``url``; without one, ``services`` and a bus are started in a temporary folder and taken down in the end.

    ``on_kill`` is told how to end everything at once, and to leave nothing behind. Where something fails, the services' log is
    kept and named in the error.
    """
    if url:
        yield Host(url)
        return
    folder = Path(tempfile.mkdtemp(prefix="concertino-"))
    log = LogFile(folder / "services.log")
    fleet = Fleet(config, log.say, store=folder / "store", services=services)
    mine: Host | None = None
    keep = True

    def kill() -> None:
        fleet.kill()
        shutil.rmtree(folder / "store" if mine and mine.failed else folder, ignore_errors=True)

    on_kill(kill)
    try:
        display.note("starting the services")
        await fleet.start(strict=True)
        display.note("")
        mine = Host(fleet.url, log.path)
        yield mine
        keep = mine.failed
    except Invalid:
        keep = False
        raise
    except NotStarted as e:
        said = f": {last}" if (last := log.last(e.service)) else ""
        if e.misconfigured:
            keep = False
            raise BadSetting(f"{e}{said}") from e
        raise Transient(f"{e}{said}; the services' log is {log.path}") from e
    except ConcertinoError as e:
        raise Transient(f"{e}; the services' log is {log.path}") from e
    except BaseException as e:
        # An interrupted question has no failure to look into.
        keep = isinstance(e, Exception)
        raise
    finally:
        await fleet.stop(DRAIN)
        log.close()
        shutil.rmtree(folder / "store" if keep else folder, ignore_errors=True)
