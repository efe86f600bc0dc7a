"""Where something happened in a distributed trace: the W3C trace context, as it travels in the headers of messages.

It is data, and no more: a process that records nothing carries it on all the same.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from msgspec import Struct

from concertino.contracts.subjects import Header

_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.DOTALL)
# Members by the letter of the standard; spaces beside them are free, and so are empty ones.
_NAME = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_VALUE = r"[ -+\--<>-~]{0,255}[!-+\--<>-~]"
_MEMBER = f" *(?:{_NAME}={_VALUE} *)?"
_STATE = re.compile(f"(?=.{{1,512}}$){_MEMBER}(?:,{_MEMBER}){{0,31}}")
_LENGTH = 55


class Trace(Struct, frozen=True):
    """One span of one trace. False where there is none.

    ``parent`` is ``<version>-<trace id>-<span id>-<flags>`` in lower-case hexadecimal, ``state`` what vendors put beside it.
    """

    parent: str = ""
    state: str = ""

    def __bool__(self) -> bool:
        return bool(self.parent)

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.parent[3:35]

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return self.parent[36:52]

    @property
    def flags(self) -> int:
        """Bit 0: whoever began the trace records it."""
        return int(self.parent[53:55] or "0", 16)

    def headers(self) -> dict[str, str]:
        """As a message carries it."""
        if not self.parent:
            return {}
        return {Header.TRACEPARENT: self.parent, **({Header.TRACESTATE: self.state} if self.state else {})}


NO_TRACE = Trace()


def trace_of(headers: Mapping[str, str]) -> Trace:
    """The trace that a message names. Anybody can write one: what is none by the letter of the standard counts for nothing."""
    parent = headers.get(Header.TRACEPARENT)
    return NO_TRACE if parent is None else _trace(parent, headers.get(Header.TRACESTATE, ""))


@functools.lru_cache(maxsize=16)
def _trace(parent: str, state: str) -> Trace:
    """Of a task whose trace is carried on and not recorded here, all messages name the same."""
    found = _PARENT.fullmatch(parent)
    if found is None or (found[1] == "00" and found[2] is not None):
        return NO_TRACE
    # What a later version of the standard adds is cut off: this is the part that it promises to keep.
    return Trace(f"00{parent[2:_LENGTH]}", state if _STATE.fullmatch(state) else "")
