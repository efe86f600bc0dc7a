"""What a model's provider lets all workers together ask, and who of them may ask now: a state as a value. No I/O.

Whoever is about to call a model asks here first (:func:`take`), and says what the provider answered: that it takes the call
(:func:`saw`) or that it does not (:func:`failed`). Three things hold calls back:

- **Buckets**, of requests and of tokens, that refill all the time, as the provider's headers describe them. What a call may
  take is taken from them before it is made. A call that has to wait for a refill is booked: the next one waits for longer, so
  who came first goes first, and no two wait for the same drop.
- **The width**: how many calls may wait for the provider's first word at once. It grows with every such word.
- **A stop**: a provider that limits us (429), or turns several away (529), is left alone for as long as it asks, or longer each
  time. After that one call is made to see, and the width begins at one again. So there is no burst after a stop, however many
  wait. One that is turned away among many that are taken is nobody's concern but its own.

Whoever asks may die, and says nothing then. So a call that waits for its first word for much longer than usual, and who does
not come when it is its turn, count no more, and hold nobody back.

Clocks of different machines may differ by :data:`SKEW`: nobody's goes back behind what is written, and whose state comes from
further ahead has its times moved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field, structs

from concertino.contracts.budget import Line
from concertino.contracts.messages import Message

Name = Literal["requests", "tokens", "input-tokens", "output-tokens"]
BUCKETS: tuple[Name, ...] = ("requests", "tokens", "input-tokens", "output-tokens")
"""As the provider's headers call them: ``anthropic-ratelimit-<name>-limit``."""

OVERLOADED = 529
"""The HTTP status of a provider that is asked too much by all its users together: it may have taken the next call."""
SKEW = 10.0
"""Seconds by which clocks of machines may differ."""
LIFE = 30.0
"""Seconds after which a call that was made, and of which nothing is heard, is forgotten."""
SLOW = 4.0
"""So many times as long as usual its first word may take, and the call counts: then who made it may be dead."""
SOON, LATE = 1.0, 10.0
"""Seconds that this is at least, and at most."""
WAITING_LIFE = 10.0
"""Seconds after which one that waits is forgotten, from the moment on at which it should have asked again."""
PASSED = 0.5
"""Seconds from that moment on for which it counts."""
LONGEST_STOP = 300.0
"""Seconds for which a provider is left alone at the most, whatever it asks."""
PROBES = 5
"""Refusals in a row, each after a stop, after which the provider counts as away: that is more than a limit."""
ALARM = 3.0
"""Of calls that a provider turns away as it is overloaded (529) so many, each less what was taken since, are a sign."""
HEAD_START: Mapping[Line, float] = {"work": 0.0, "write_up": 5.0, "report": 10.0}
"""Seconds by which a call goes before others that wait, by what it is for: nobody is to wait for what is nearly done."""

_FIRST_WIDTH, _WIDEST = 8.0, 10_000.0
_HALVED = _FIRST_WIDTH / 2
"""Up to here it always doubles: few that were on their way when one was turned away do not say that few may be."""
_FIRST_STOP = 1.0
_FADE = 30.0
"""Seconds in which most of an answer is written, and most of what was turned away is forgotten."""
_TAKEN = 0.25
"""Of a call that was turned away: so much less it counts for each one that is taken."""
_MINUTE = 60.0
_PAUSE, _LONGEST_PAUSE = 0.2, 1.0
_LEARNING = 0.1
_MOST = 1e12

Positive = Annotated[float, Meta(gt=0)]
Amount = Annotated[float, Meta(ge=0)]
Width = Annotated[float, Meta(ge=1)]


class Bucket(Message, frozen=True, kw_only=True):
    """What may be used of one thing. Below 0: so much is booked that has to come first."""

    limit: Positive
    rate: Positive
    """By how much it fills in a second."""
    level: float


class Knock(Message, frozen=True, kw_only=True):
    """A call that waits for its turn, or for the provider's first word. Times are Unix seconds."""

    id: str
    at: float
    """When it may be made."""
    ends: float
    """When it counts no more."""
    ahead: float = 0.0
    requests: int = 1
    input: float = 0.0
    output: float = 0.0
    going: bool = False
    """Whether it is made."""
    stops: int = 0
    """How many stops there had been when it was made."""


class Rates(Message, frozen=True, kw_only=True):
    """In the bucket ``ctn_rates``, under the model: what its provider allows, and who asks it. By default nothing is known."""

    at: float = 0.0
    """Unix seconds of what it says."""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    knocks: tuple[Knock, ...] = ()
    width: Width = _FIRST_WIDTH
    threshold: Width = _WIDEST
    """Up to this width it doubles; from there on it grows by one."""
    stops: int = 0
    stopped: float = 0.0
    """Until when the provider is left alone, in Unix seconds."""
    refusals: int = 0
    """In a row, each after a stop."""
    status: int = 0
    """With which HTTP status it refused last."""
    alarm: Amount = 0.0
    """Calls that were turned away of late, and stopped nobody else."""
    first: Amount = 0.5
    """Seconds to its first word, usually."""
    share: float = 1.0
    """Of what was estimated of requests: how much of it counts, as the rest was cached, or is not there."""
    output: float = 1_000.0
    """Tokens of an answer, usually."""
    coming: float = 0.0
    """Tokens of answers that are being written."""
    by: str = ""
    """Who wrote it last: no two are alike."""


class Asking(Struct, frozen=True):
    """A call that is to be made. ``id`` is like no other."""

    id: str
    line: Line
    input_tokens: int
    """At the most."""
    requests: int = 1
    patience: float = math.inf
    """Seconds that it would wait for its turn. Where that is longer, it is not booked."""


class Wait(Struct, frozen=True):
    """It is not its turn. Ask again in so many ``seconds``."""

    seconds: float
    booked: bool
    """Whether its place is kept. False: it would be longer than it has patience for."""
    away: bool = False
    """Whether the provider has refused so often that it counts as away."""
    status: int = 0
    """With which HTTP status it refused last, where it is left alone."""


class Allowance(Struct, frozen=True):
    """What the provider says of one bucket."""

    limit: float
    remaining: float
    rate: float


# ----------------------------------------------------------------------------------------------------- what is decided


def take(state: Rates, asking: Asking, now: float) -> tuple[Rates, Wait | None]:
    """``state`` with ``asking`` in it, and None: it may be made now; or how long it waits. It is asked again under the same id.

    Where nothing changes, what is returned is ``state`` itself.
    """
    before, state = state, _moved(state, now)
    now = state.at
    mine = _find(state, asking.id)
    if mine is None:
        costs = _costs(state, asking)
        filled = max((_until_filled(bucket, costs[name]) for name, bucket in _named(state)), default=0.0)
        seconds = max(filled, state.stopped - now)
        if seconds > asking.patience or (state.refusals >= PROBES and state.stopped > now):
            return before, _wait(state, seconds, now, booked=False)
        mine = _knock(state, asking, now + filled)
        state = _paid(structs.replace(state, knocks=(*state.knocks, mine)), mine, -1)
    if mine.going:
        return before, None
    ahead = _ahead(state, mine, now)
    free = int(state.width) - sum(knock.going and _counts(state, knock) for knock in state.knocks)
    if mine.at <= now and state.stopped <= now and ahead < free:
        return _with(state, structs.replace(mine, going=True, ends=now + LIFE, stops=state.stops)), None
    seconds = max(mine.at - now, 0.0)
    if seconds <= 0 or state.stopped > mine.at:
        # Who is further back in the line looks later, or all would look at once when a stop is over.
        seconds = max(state.stopped - now, 0.0) + min(_PAUSE * (1 + max(ahead - free, 0) / state.width), _LONGEST_PAUSE)
    wait, ends = _wait(state, seconds, now, booked=True), now + seconds + WAITING_LIFE
    if _find(before, mine.id) is not None and mine.ends > ends - PASSED / 2:
        return before, wait
    return _with(state, structs.replace(mine, ends=ends)), wait


def saw(state: Rates, id_: str, allowed: Mapping[Name, Allowance], now: float) -> Rates:
    """The provider takes the call ``id_``, and says what is ``allowed`` from now on."""
    state, mine, _ = _without(_moved(state, now), id_)
    if mine is not None:
        took = min(max(state.at - _went(mine), 0.0), LIFE)
        state = structs.replace(
            state,
            coming=state.coming + mine.output,
            first=state.first + (took - state.first) * _LEARNING,
            alarm=max(state.alarm - _TAKEN, 0.0),
        )
        if mine.stops == state.stops:
            # What nobody needs does not grow: else it would be no bound when it is needed.
            grown = state.width + (1.0 if state.width < state.threshold else 1.0 / state.width)
            used = len(state.knocks) + 1 >= state.width / 2
            state = structs.replace(state, refusals=0, width=min(grown, _WIDEST) if used else state.width)
    return _told(state, allowed)


def failed(state: Rates, id_: str, status: int, after: float | None, allowed: Mapping[Name, Allowance], now: float) -> Rates:
    """The provider turns the call ``id_`` away with an HTTP ``status`` that says that it is asked too much, and asks to be left
    alone for ``after`` seconds.

    Of calls that were made together and all turned away, one is a sign; the others say no more than how long it is to be. One
    that is turned away as the provider is overloaded, and that asks for nothing, is none: that happens every day. Several are.
    """
    state, mine, going = _without(_moved(state, now), id_)
    now = state.at
    asked = min(after, LONGEST_STOP) if after is not None and after > 0 else 0.0
    if state.stopped > now if mine is None else mine.stops < state.stops:
        return _told(structs.replace(state, stopped=max(state.stopped, now + asked)), allowed)
    alarm = state.alarm + 1
    if alone(status, after) and not state.refusals and alarm < ALARM:
        return _told(structs.replace(state, alarm=alarm), allowed)
    refusals = state.refusals + 1
    seconds = max(asked, min(_FIRST_STOP * 2.0 ** min(refusals - 1, 20), LONGEST_STOP))
    state = structs.replace(
        state,
        stops=state.stops + 1,
        stopped=max(state.stopped, now + seconds),
        refusals=refusals,
        status=status,
        alarm=0.0,
        threshold=max(min(state.width, float(going)) / 2, _HALVED),
        width=1.0,
    )
    return _told(state, allowed)


def alone(status: int, after: float | None) -> bool:
    """Whether a call that was turned away with an HTTP ``status``, and a wish for ``after`` seconds of peace, may be the only
    one: then it minds its own pause, whether others are stopped or not."""
    return status == OVERLOADED and not after


def left(state: Rates, id_: str, now: float) -> Rates:
    """The call ``id_`` is not made, or nobody knows what became of it. What never went takes nothing."""
    state, mine, _ = _without(_moved(state, now), id_)
    return state if mine is None or mine.going else _paid(state, mine, 1)


def learnt(state: Rates, estimated: int, counted: int, output: int) -> Rates:
    """What a call took in the end: ``counted`` tokens of input that the limits count, where at the most ``estimated`` were
    expected, and ``output`` tokens of an answer."""
    share = min(counted / estimated, 1.0) if estimated > 0 else state.share
    return structs.replace(
        state,
        share=max(state.share + (share - state.share) * _LEARNING, 0.01),
        output=state.output + (min(output, _MOST) - state.output) * _LEARNING,
    )


def allowed(headers: Mapping[str, str]) -> dict[Name, Allowance]:
    """What the headers of an answer say, by bucket; nothing of what they do not say, or say in a way that makes no sense."""
    found: dict[Name, Allowance] = {}
    for name in BUCKETS:
        prefix = f"anthropic-ratelimit-{name}"
        limit, remaining = _number(headers.get(f"{prefix}-limit")), _number(headers.get(f"{prefix}-remaining"))
        if limit and remaining is not None:
            remaining = min(remaining, limit)
            rate = limit / _MINUTE
            # Some limits are of an hour, or of a day. Within a minute all others are full again, give or take the rounding.
            seconds = _seconds(headers.get(f"{prefix}-reset"), headers.get("date"))
            if remaining < limit and _MINUTE * 1.1 < seconds <= 24 * 3600.0:
                rate = min(rate, (limit - remaining) / seconds)
            found[name] = Allowance(limit, remaining, rate)
    return found


# ------------------------------------------------------------------------------------------------------------ of a state


def _moved(state: Rates, now: float) -> Rates:
    """``state`` as it is ``now``."""
    passed = now - state.at
    if passed < -SKEW:  # somebody's clock was ahead
        knocks = tuple(structs.replace(k, at=k.at + passed, ends=k.ends + passed) for k in state.knocks)
        return structs.replace(state, at=now, knocks=knocks, stopped=min(state.stopped, state.at + LONGEST_STOP) + passed)
    passed = max(passed, 0.0)
    buckets = {
        name: structs.replace(bucket, level=min(bucket.level + bucket.rate * passed, bucket.limit))
        for name, bucket in state.buckets.items()
    }
    return structs.replace(
        state,
        at=max(state.at, now),
        buckets=buckets,
        knocks=tuple(knock for knock in state.knocks if knock.ends > now),
        stopped=min(state.stopped, state.at + LONGEST_STOP),
        coming=state.coming * math.exp(-passed / _FADE),
        alarm=state.alarm * math.exp(-passed / _FADE),
    )


def _named(state: Rates) -> list[tuple[str, Bucket]]:
    return [(name, bucket) for name, bucket in state.buckets.items() if name in BUCKETS]


def _costs(state: Rates, asking: Asking) -> dict[str, float]:
    return _amounts(asking.requests, asking.input_tokens * state.share, state.output * asking.requests)


def _amounts(requests: int, input_: float, output: float) -> dict[str, float]:
    """What a call takes from each bucket."""
    return {"requests": float(requests), "tokens": input_ + output, "input-tokens": input_, "output-tokens": output}


def _until_filled(bucket: Bucket, cost: float) -> float:
    """Seconds. What is more than a bucket can hold waits until it is full."""
    return max((min(cost, bucket.limit) - bucket.level) / bucket.rate, 0.0)


def _knock(state: Rates, asking: Asking, at: float) -> Knock:
    costs = _costs(state, asking)
    return Knock(
        id=asking.id,
        at=at,
        ends=at + WAITING_LIFE,
        ahead=HEAD_START[asking.line],
        requests=asking.requests,
        input=costs["input-tokens"],
        output=costs["output-tokens"],
    )


def _find(state: Rates, id_: str) -> Knock | None:
    return next((knock for knock in state.knocks if knock.id == id_), None)


def _with(state: Rates, changed: Knock) -> Rates:
    return structs.replace(state, knocks=tuple(changed if knock.id == changed.id else knock for knock in state.knocks))


def _without(state: Rates, id_: str) -> tuple[Rates, Knock | None, int]:
    """Without the call ``id_``, which is there unless it is forgotten; and how many were being made with it."""
    going = sum(knock.going for knock in state.knocks)
    mine = _find(state, id_)
    return structs.replace(state, knocks=tuple(knock for knock in state.knocks if knock.id != id_)), mine, going


def _ahead(state: Rates, mine: Knock, now: float) -> int:
    """How many go before it, of those that could go now."""
    place = (mine.at - mine.ahead, mine.id)
    return sum(
        not knock.going
        and knock.at <= max(now, mine.at)
        and (knock.at - knock.ahead, knock.id) < place
        and _counts(state, knock)
        for knock in state.knocks
    )


def _went(knock: Knock) -> float:
    """When a call was made that is being made."""
    return knock.ends - LIFE


def _counts(state: Rates, knock: Knock) -> bool:
    """Whether who made it is likely to live."""
    if knock.going:
        return _went(knock) + min(max(SLOW * state.first, SOON), LATE) > state.at
    return knock.ends - WAITING_LIFE + PASSED > state.at


def _paid(state: Rates, knock: Knock, sign: int) -> Rates:
    """A call takes a bucket that is full at the most: what is said of a limit may make no sense, and holds nobody for days."""
    costs = _amounts(knock.requests, knock.input, knock.output)
    buckets = {
        name: structs.replace(bucket, level=min(bucket.level + sign * min(costs[name], bucket.limit), bucket.limit))
        for name, bucket in _named(state)
    }
    return structs.replace(state, buckets=buckets)


def _wait(state: Rates, seconds: float, now: float, *, booked: bool) -> Wait:
    stopped = state.stopped > now
    return Wait(max(seconds, 0.0), booked, state.refusals >= PROBES and stopped, state.status if stopped else 0)


def _told(state: Rates, told: Mapping[Name, Allowance]) -> Rates:
    """What the provider says counts, less what it need not know of: calls without an answer, and what it still writes."""
    if not told:
        return state
    buckets = dict(state.buckets)
    counting = [knock for knock in state.knocks if _counts(state, knock)]
    for name, said in told.items():
        owed = sum(min(_amounts(knock.requests, knock.input, knock.output)[name], said.limit) for knock in counting)
        owed += min(state.coming, said.limit) if name in ("tokens", "output-tokens") else 0.0
        buckets[name] = Bucket(limit=said.limit, rate=said.rate, level=said.remaining - owed)
    return structs.replace(state, buckets=buckets)


# ------------------------------------------------------------------------------------------------------------ of headers


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return min(found, _MOST) if found >= 0 else None  # nor is NaN


def _seconds(reset: str | None, date: str | None) -> float:
    """From ``date`` to ``reset``, as the provider's clock has it; 0 where one of them cannot be read."""
    try:
        there = datetime.fromisoformat(reset or "")
        return (there - parsedate_to_datetime(date or "")).total_seconds()
    except (OverflowError, TypeError, ValueError):
        return 0.0
