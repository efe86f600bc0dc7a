"""How something ended, and after how long, for whoever counts it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from concertino.contracts.errors import ConcertinoError


@dataclass
class Ending:
    """``how`` it ends: ``ok``, or another word by whoever knows one; the code of an error, ``cancelled`` or ``bug``."""

    how: str = "ok"


@contextlib.contextmanager
def ending(monotonic: Callable[[], float], tell: Callable[[str, float], None]) -> Iterator[Ending]:
    """Around what is counted: ``tell`` is given the word and the seconds, whatever happens. ``monotonic`` gives seconds that
    never jump."""
    began, ended = monotonic(), Ending()
    try:
        yield ended
    except BaseException as e:
        ended.how = _word(e)
        raise
    finally:
        tell(ended.how, monotonic() - began)


def _word(error: BaseException) -> str:
    if isinstance(error, ConcertinoError):
        return error.code
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "bug"
