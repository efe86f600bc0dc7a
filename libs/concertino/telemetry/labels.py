"""What a label of a metric may say. Its values come from closed sets: whatever else is thrown at one counts as ``other``.

A time series costs a Prometheus memory for as long as it is kept, so a caller, a plan or a provider must not be able to make
ever new ones. :data:`CLOSED` has the rule of each label; :mod:`concertino.telemetry.metrics` knows no way around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from concertino.contracts import errors
from concertino.contracts.messages import OutcomeStatus, ResultStatus
from concertino.contracts.subjects import LANES

OTHER: Final = "other"
CODES: Final = (
    *sorted(e.code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.ConcertinoError)),
    "abandoned",
)
"""Of failures: what errors say on the wire, and what the runtime itself says of work that has none."""
STOPS: Final = (
    *("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "compaction", "refusal"),
    "model_context_window_exceeded",
)
"""Why a model stopped, as its provider says it."""
STATUSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
"""Of answers over HTTP."""
TOKEN_TYPES: Final = ("input", "output", "cache_write", "cache_read")
LACKING: Final = ("tokens", "cost", "unpriced", "ledger")
"""Why a budget does not allow a call."""
REFUSALS: Final = ("429", "529")
"""With which HTTP status a provider says that it is asked too much."""
CHECKS: Final = ("passed", "failed")
HEDGE_ENDS: Final = ("won", "lost")
ANSWERS: Final = ("answered", "unanswered")

Closed = Callable[[str], str]

_NAME = re.compile(r"[\w.:/@+-]{1,100}", re.ASCII)


def fixed(*values: str) -> Closed:
    """Just these."""
    allowed = frozenset(values)
    return lambda value: value if value in allowed else OTHER


def few(most: int) -> Closed:
    """Names that only an installation knows, such as its kinds: the first ``most`` of a process, if they look like names."""
    known: set[str] = set()

    def close(value: str) -> str:
        if value not in known:
            if len(known) >= most or not _NAME.fullmatch(value):
                return OTHER
            known.add(value)
        return value

    return close


CLOSED: Mapping[str, Closed] = {
    "service": few(20),
    "version": few(20),
    "kind": few(100),
    "model": few(30),
    "server": few(30),
    "lane": fixed(*LANES),
    "outcome": fixed(*OutcomeStatus),
    "status": fixed(*ResultStatus, "raised", "interrupted"),
    "code": fixed(*CODES),
    "ended": fixed(*CODES, *STOPS, "ok", *STATUSES),
    "state": fixed("waiting", "taken"),
    "type": fixed(*TOKEN_TYPES),
    "lacking": fixed(*LACKING),
    "refusal": fixed(*REFUSALS),
    "check": fixed(*CHECKS),
    "hedge": fixed(*HEDGE_ENDS),
    "answer": fixed(*ANSWERS),
}
"""By label."""
