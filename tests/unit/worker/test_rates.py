"""The provider's rate limit as a value: who goes, who waits and for how long, and what headers say."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import pytest
from msgspec import structs

from concertino.contracts import rates
from concertino.contracts.budget import Line
from concertino.contracts.rates import Allowance, Asking, Bucket, Name, Rates, Wait

NOW = 1_800_000_000.0


def ask(id_: str, line: Line = "work", tokens: int = 100, patience: float = 1e9) -> Asking:
    return Asking(id_, line, tokens, patience=patience)


def waited(state: Rates, asking: Asking, now: float) -> tuple[Rates, Wait]:
    state, wait = rates.take(state, asking, now)
    assert wait is not None
    return state, wait


def gone(state: Rates, asking: Asking, now: float) -> Rates:
    state, wait = rates.take(state, asking, now)
    assert wait is None
    return state


def known(**buckets: tuple[float, float]) -> Rates:
    """By bucket: limit a minute, and what is left of it."""
    return Rates(
        at=NOW,
        width=100.0,
        buckets={
            name.replace("_", "-"): Bucket(limit=limit, rate=limit / 60, level=left) for name, (limit, left) in buckets.items()
        },
    )


class Provider:
    """Buckets that refill all the time. What is above them is refused."""

    def __init__(self, requests: int, filled: float) -> None:
        self.limit, self.level, self.at = requests, requests * filled, NOW
        self.taken = self.refused = 0

    def answers(self, now: float) -> bool:
        self.level, self.at = min(self.level + self.limit / 60 * (now - self.at), self.limit), now
        if self.level < 1:
            self.refused += 1
            return False
        self.level -= 1
        self.taken += 1
        return True

    @property
    def allowed(self) -> dict[Name, Allowance]:
        return {"requests": Allowance(self.limit, float(int(self.level)), self.limit / 60)}


def crowd(provider: Provider, workers: int, seconds: float, *, limited: bool = True) -> None:
    """So many ``workers`` call as fast as they may, each call being answered after 0.3 s; who is refused tries again after a
    second, as each would alone."""
    state, order = Rates(), itertools.count()
    events: list[tuple[float, int, Callable[[float], None]]] = []

    def at(when: float, do: Callable[[float], None]) -> None:
        heapq.heappush(events, (when, next(order), do))

    def call(now: float, id_: str) -> None:
        nonlocal state
        if limited:
            state, wait = rates.take(state, ask(id_), now)
            if wait is not None:
                at(now + wait.seconds, lambda later: call(later, id_))
                return
        taken, told = provider.answers(now + 0.1), provider.allowed
        at(now + 0.3, lambda later: answered(later, id_, taken, told))

    def answered(now: float, id_: str, taken: bool, told: dict[Name, Allowance]) -> None:
        nonlocal state
        state = rates.saw(state, id_, told, now) if taken else rates.failed(state, id_, 429, 1.0, told, now)
        at(now if taken or limited else now + 1.0, lambda later: call(later, f"c{next(order)}"))

    for number in range(workers):
        at(NOW, lambda now, number=number: call(now, f"w{number}"))  # type: ignore[misc]
    while events and events[0][0] < NOW + seconds:
        when, _, do = heapq.heappop(events)
        do(when)


def test_a_crowd_comes_near_the_limit_and_is_hardly_ever_refused() -> None:
    provider = Provider(600, 0.05)
    crowd(provider, 60, 120)
    assert provider.taken >= 0.9 * (30 + 10 * 120)
    assert provider.refused <= 0.02 * provider.taken


def test_without_it_the_same_crowd_is_a_storm() -> None:
    provider = Provider(600, 0.05)
    crowd(provider, 60, 120, limited=False)
    assert provider.refused > provider.taken


def test_a_stop_ends_with_one_call_and_then_ever_more() -> None:
    state = structs.replace(Rates(), width=64.0)
    for number in range(40):
        state = gone(state, ask(f"c{number}"), NOW)
    for number in range(40):  # all of them are refused: that is one stop
        state = rates.failed(state, f"c{number}", 529, None, {}, NOW + 0.1)
    assert (state.stops, state.refusals, state.threshold) == (1, 1, 20.0)
    for number in range(40):
        state, wait = waited(state, ask(f"d{number}"), NOW + 0.2)
        assert wait.booked
        assert wait.status == 529
        assert wait.seconds > 0.8
    sizes = []
    now = NOW + 2
    went: list[int] = []
    for _ in range(5):
        just = [n for n in range(40) if n not in went and _goes(state, f"d{n}", now)]
        batch = []
        for number in range(40):
            if number not in went:
                state, left = rates.take(state, ask(f"d{number}"), now)
                if left is None:
                    batch.append(number)
        assert just
        sizes.append(len(batch))
        went += batch
        for number in batch:
            state = rates.saw(state, f"d{number}", {}, now + 0.5)
        now += 1
    assert sizes == [1, 2, 4, 8, 16]


def _goes(state: Rates, id_: str, now: float) -> bool:
    return rates.take(state, ask(id_), now)[1] is None


def test_stops_get_longer_until_the_provider_counts_as_away_and_end_with_a_word_of_it() -> None:
    state, now, stops = Rates(), NOW, []
    for number in range(6):
        state = gone(state, ask(f"c{number}"), now)
        state = rates.failed(state, f"c{number}", 429, None, {}, now)
        stops.append(state.stopped - now)
        _, wait = waited(state, ask("x"), now)
        assert (wait.away, wait.booked) == ((True, False) if number >= 4 else (False, True))
        now = state.stopped + 0.1
    assert stops == [1, 2, 4, 8, 16, 32]
    state = gone(state, ask("probe"), now)
    state = rates.saw(state, "probe", {}, now)
    assert state.refusals == 0


def test_a_refusal_that_says_for_how_long_is_obeyed_within_reason() -> None:
    state = rates.failed(gone(Rates(), ask("a"), NOW), "a", 429, 20.0, {}, NOW)
    assert waited(state, ask("b"), NOW)[1].seconds == pytest.approx(20, abs=1)
    state = rates.failed(gone(Rates(), ask("a"), NOW), "a", 429, 1e9, {}, NOW)
    assert waited(state, ask("b"), NOW)[1].seconds <= rates.LONGEST_STOP + 1


def test_who_comes_first_goes_first_and_no_two_wait_for_the_same() -> None:
    state = known(requests=(60, 0))
    waits = []
    for number in range(5):
        state, wait = waited(state, ask(f"c{number}"), NOW)
        waits.append(wait.seconds)
    assert waits == pytest.approx([1, 2, 3, 4, 5])
    # The last may go before its time no more than the first one.
    assert waited(state, ask("c4"), NOW + 1.5)[1].seconds == pytest.approx(3.5)
    state = gone(state, ask("c0"), NOW + 1.01)
    gone(state, ask("c1"), NOW + 2.01)


def test_who_has_no_patience_is_told_and_not_booked() -> None:
    state = known(requests=(60, -9))
    same, wait = waited(state, ask("c", patience=5), NOW)
    assert same is state
    assert (wait.booked, wait.seconds) == (False, pytest.approx(10))
    assert waited(state, ask("c", patience=11), NOW)[1].booked


def test_what_is_nearly_done_goes_first_where_there_is_room_for_few() -> None:
    state = structs.replace(Rates(), width=1.0, at=NOW)
    state = gone(state, ask("first"), NOW)
    state, _ = waited(state, ask("reads"), NOW)
    state, _ = waited(state, ask("reports", "report"), NOW + 0.1)
    state = structs.replace(rates.saw(state, "first", {}, NOW + 1), width=1.0)
    state, _ = waited(state, ask("reads"), NOW + 1)
    state = gone(state, ask("reports", "report"), NOW + 1)
    state = structs.replace(rates.saw(state, "reports", {}, NOW + 2), width=1.0)
    gone(state, ask("reads"), NOW + 2)


def test_a_call_that_is_larger_than_the_limit_waits_until_it_is_full() -> None:
    state = known(input_tokens=(1_000, 500))
    state, wait = waited(state, ask("c", tokens=50_000), NOW)
    assert wait.seconds == pytest.approx(30)
    assert state.buckets["input-tokens"].level == -49_500


def test_what_waited_and_leaves_takes_nothing() -> None:
    state = known(requests=(60, 0))
    booked, _ = waited(state, ask("c"), NOW)
    assert rates.left(booked, "c", NOW).buckets == state.buckets


def test_what_the_provider_says_counts_less_what_it_has_not_seen() -> None:
    state = gone(gone(known(requests=(60, 60)), ask("a"), NOW), ask("b"), NOW)
    state = rates.saw(state, "a", {"requests": Allowance(50, 20, 50 / 60)}, NOW)
    assert state.buckets["requests"] == Bucket(limit=50, rate=50 / 60, level=19)


def test_what_calls_usually_take_is_learnt() -> None:
    state = Rates()
    for _ in range(100):
        state = rates.learnt(state, 10_000, 1_000, 300)
    assert state.share == pytest.approx(0.1, abs=0.01)
    assert state.output == pytest.approx(300, rel=0.1)
    state = structs.replace(state, buckets=known(input_tokens=(50_000, 50_000)).buckets, at=NOW)
    assert gone(state, ask("c", tokens=10_000), NOW).buckets["input-tokens"].level == pytest.approx(49_000, abs=100)


def test_answers_that_are_being_written_count_and_fade() -> None:
    state = rates.saw(gone(Rates(), ask("a"), NOW), "a", {}, NOW)
    full: dict[Name, Allowance] = {"output-tokens": Allowance(8_000, 8_000, 8_000 / 60)}
    soon = rates.saw(state, "other", full, NOW + 1).buckets["output-tokens"].level
    later = rates.saw(state, "other", full, NOW + 120).buckets["output-tokens"].level
    assert soon == pytest.approx(8_000 - 1_000, abs=50)
    assert later == pytest.approx(8_000, abs=50)


def test_who_died_holds_nobody_back_for_long() -> None:
    state = structs.replace(Rates(), width=1.0)
    state = gone(state, ask("died"), NOW)
    state, _ = waited(state, ask("next"), NOW + 25)
    gone(state, ask("next"), NOW + rates.LIFE + 0.1)


def test_a_clock_that_is_ahead_is_made_up_for() -> None:
    ahead = NOW + 3_600
    state = rates.failed(gone(Rates(), ask("a"), ahead), "a", 429, 30.0, {}, ahead)
    wait = waited(state, ask("b"), NOW)[1]
    assert wait.seconds == pytest.approx(30, abs=1)


def test_a_state_that_cannot_be_true_holds_nobody_for_ever() -> None:
    state = Rates(at=NOW, stopped=1e18, refusals=10**9, width=1e300, threshold=1e300)
    wait = waited(state, ask("b"), NOW)[1]
    assert wait.seconds <= rates.LONGEST_STOP + 1
    gone(state, ask("b"), NOW + rates.LONGEST_STOP + 1)


# --- headers

HEADERS = {
    "date": "Thu, 21 Aug 2025 12:41:00 GMT",
    "anthropic-ratelimit-input-tokens-limit": "80000",
    "anthropic-ratelimit-input-tokens-remaining": "60000",
    "anthropic-ratelimit-input-tokens-reset": "2025-08-21T12:41:15Z",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2025-08-21T12:40:59Z",
}


def test_headers_are_read() -> None:
    assert rates.allowed(HEADERS) == {
        "requests": Allowance(1000, 999, 1000 / 60),
        "input-tokens": Allowance(80_000, 60_000, 80_000 / 60),
    }


def test_a_limit_of_an_hour_fills_slowly() -> None:
    hourly = {**HEADERS, "anthropic-ratelimit-input-tokens-reset": "2025-08-21T13:11:00Z"}
    assert rates.allowed(hourly)["input-tokens"].rate == pytest.approx(20_000 / 1_800)


@pytest.mark.parametrize("text", ["", "nan", "-1", "many", "0", "١٢x", "1e999999", "inf"])
@pytest.mark.parametrize("part", ["limit", "remaining", "reset"])
def test_headers_that_make_no_sense_are_harmless(part: str, text: str) -> None:
    for reset in (text, "9999-12-31T23:59:59Z", "2025-08-21T12:41:15"):
        headers = {**HEADERS, "anthropic-ratelimit-input-tokens-reset": reset, f"anthropic-ratelimit-input-tokens-{part}": text}
        state = rates.saw(gone(Rates(), ask("a"), NOW), "a", rates.allowed(headers), NOW)
        state, wait = rates.take(state, ask("b", tokens=10_000), NOW)
        assert wait is None or 0 < wait.seconds <= 120


def test_a_date_that_makes_no_sense_is_harmless() -> None:
    for date in ("", "never", "Thu, 21 Aug 99999999 12:41:00 GMT", "0"):
        assert rates.allowed({**HEADERS, "date": date})["input-tokens"].rate == 80_000 / 60
