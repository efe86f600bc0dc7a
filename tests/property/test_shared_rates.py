"""A provider with real limits, and many callers in many processes that die, whose clocks differ and whose calls fail, in any
order: what the shared limiter lets through, and that everybody's turn comes."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from concertino.contracts import rates
from concertino.contracts.budget import Line
from concertino.contracts.codec import decode, encode
from concertino.contracts.rates import LIFE, LONGEST_STOP, OVERLOADED, SOON, Allowance, Asking, Rates

START = 1_800_000_000.0
LINES: tuple[Line, ...] = ("work", "write_up", "report")


class Caller(NamedTuple):
    """Asks at ``at`` seconds; the provider's first word comes after ``answer`` seconds, or never."""

    at: float
    line: Line
    tokens: int
    answer: float
    end: str
    status: int
    """Of the refusal, where it is refused."""
    skew: float


callers = st.lists(
    st.builds(
        Caller,
        at=st.floats(0, 20),
        line=st.sampled_from(LINES),
        tokens=st.integers(1, 3_000),
        answer=st.floats(0.01, 3),
        end=st.sampled_from(["taken", "taken", "taken", "taken", "refused", "dropped", "dies"]),
        status=st.sampled_from([429, OVERLOADED]),
        skew=st.floats(-3, 3),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(callers, st.integers(1, 100), st.integers(1_000, 100_000), st.floats(0, 1))
def test_no_more_go_than_are_allowed_and_everybody_s_turn_comes(
    asked: list[Caller], requests: int, tokens: int, filled: float
) -> None:
    """The world of the test is exact; each caller sees it through a clock of its own."""
    state, now = Rates(), START
    levels = {"requests": requests * filled, "input-tokens": tokens * filled}
    limits = {"requests": requests, "input-tokens": tokens}
    queue = [(START + caller.at, index, index, "ask", caller) for index, caller in enumerate(asked)]
    order = itertools.count(len(asked))
    going: dict[int, float] = {}
    went: set[int] = set()
    asked_at: dict[int, float] = {}
    while queue:
        queue.sort()
        at, _, index, event, caller = queue.pop(0)
        assert at < START + 4 * 3600, "somebody waits for ever"
        for name in levels:
            levels[name] = min(levels[name] + limits[name] / 60 * (at - now), limits[name])
        now, seen = at, at + caller.skew
        state = decode(Rates, encode(state))  # as it comes from the bus
        name = str(index)
        allowed: dict[rates.Name, Allowance] = {
            key: Allowance(limits[key], max(math.floor(levels[key]), 0.0), limits[key] / 60)  # type: ignore[dict-item,index]
            for key in levels
        }
        if event == "ask":
            before = state
            state, wait = rates.take(state, Asking(name, caller.line, caller.tokens), seen)
            if wait is not None:
                asked_at.setdefault(index, at)
                assert 0 < wait.seconds < math.inf
                assert wait.seconds <= LONGEST_STOP + 3600
                queue.append((at + max(wait.seconds, 0.001), next(order), index, "ask", caller))
                continue
            under_way = sum(k.going and k.ends - LIFE + SOON > state.at for k in state.knocks)
            if state.refusals:
                assert under_way == 1, "after a stop one call is made to see, and no other while it may be answered"
            assert under_way <= max(int(before.width), 1)
            went.add(index)
            going[index] = at
            levels["requests"] -= 1
            levels["input-tokens"] -= caller.tokens
            if caller.end != "dies":
                queue.append((at + caller.answer, next(order), index, caller.end, caller))
        elif event == "taken":
            state = rates.saw(state, name, allowed, seen)
            del going[index]
        elif event == "refused":
            refusals, stops = state.refusals, state.stops
            state = rates.failed(state, name, caller.status, None, allowed, seen)
            assert state.stops in (stops, stops + 1)
            assert state.refusals in (refusals, refusals + 1)
            assert state.width == 1.0 or state.stops == stops
            del going[index]
        else:
            state = rates.left(state, name, seen)
            del going[index]
    assert went == set(range(len(asked)))
    # Who died is forgotten, and holds nobody back.
    later = now + LIFE + LONGEST_STOP + 60 + 10
    settled, wait = rates.take(state, Asking("last", "work", 1), later)
    assert wait is None or wait.seconds < LONGEST_STOP
    assert {knock.id for knock in settled.knocks if knock.going} <= {"last"}
