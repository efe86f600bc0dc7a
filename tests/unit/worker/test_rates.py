"""The provider's rate limit as a value: who goes, who waits and for how long, and what headers say."""

from __future__ import annotations

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


def test_a_stop_ends_with_one_call_and_then_ever_more() -> None:
    state = structs.replace(Rates(), width=64.0)
    for number in range(40):
        state = gone(state, ask(f"c{number}"), NOW)
    for number in range(40):  # all of them are refused: that is one stop
        state = rates.failed(state, f"c{number}", 429, None, {}, NOW + 0.1)
    assert (state.stops, state.refusals, state.threshold) == (1, 1, 20.0)
    for number in range(40):
        state, wait = waited(state, ask(f"d{number}"), NOW + 0.2)
        assert wait.booked
        assert wait.status == 429
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
    state = structs.replace(rates.saw(state, "first", {}, NOW + 0.4), width=1.0)
    state, _ = waited(state, ask("reads"), NOW + 0.4)
    state = gone(state, ask("reports", "report"), NOW + 0.5)
    state = structs.replace(rates.saw(state, "reports", {}, NOW + 0.6), width=1.0)
    gone(state, ask("reads"), NOW + 0.6)


def test_a_call_that_is_larger_than_the_limit_waits_until_it_is_full() -> None:
    state = known(input_tokens=(1_000, 500))
    state, wait = waited(state, ask("c", tokens=50_000), NOW)
    assert wait.seconds == pytest.approx(30)
    assert state.buckets["input-tokens"].level == -500  # a full one: what it needs beyond that, nobody can wait for


@pytest.mark.parametrize("limit", ["1", "5", "1e-300"])
def test_a_limit_that_is_smaller_than_any_call_holds_nobody_for_days(limit: str) -> None:
    name = "anthropic-ratelimit-input-tokens"
    state = gone(gone(Rates(), ask("a", tokens=30_000), NOW), ask("b", tokens=30_000), NOW)
    state = rates.saw(state, "a", rates.allowed({f"{name}-limit": limit, f"{name}-remaining": "0"}), NOW)
    for number in range(1, 4):
        state, wait = waited(state, ask(f"c{number}", tokens=30_000), NOW)
        assert wait.seconds == pytest.approx(60.0 * (number + 1)), "each takes a bucket that is full, at the most"
    state = rates.left(state, "c3", NOW)
    assert waited(state, ask("d", tokens=30_000), NOW)[1].seconds == pytest.approx(240.0)


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


@pytest.mark.parametrize("first", [0.01, 0.5, 2.0, 60.0])
def test_of_whom_nothing_is_heard_for_much_longer_than_usual_makes_room(first: float) -> None:
    state = structs.replace(Rates(), width=1.0, first=first, at=NOW)
    state = gone(state, ask("died"), NOW)
    slow = min(max(rates.SLOW * first, rates.SOON), rates.LATE)
    waited(state, ask("next"), NOW + slow - 0.1)
    state = gone(state, ask("next"), NOW + slow + 0.1)
    waited(state, ask("third"), NOW + slow + 0.2)  # one more, and not all


def test_whose_first_word_comes_late_is_heard_all_the_same() -> None:
    state = structs.replace(Rates(), width=1.0, refusals=1, at=NOW)
    state = rates.saw(gone(state, ask("slow"), NOW), "slow", {}, NOW + 20)
    assert (state.refusals, state.width) == (0, 2.0)
    assert state.first == pytest.approx(0.5 + 0.1 * 19.5)


def test_how_long_a_first_word_takes_is_learnt() -> None:
    state = structs.replace(Rates(), at=NOW)
    for number in range(50):
        state = rates.saw(gone(state, ask(f"c{number}"), NOW + 3 * number), f"c{number}", {}, NOW + 3 * number + 2)
    assert state.first == pytest.approx(2, abs=0.1)


def test_who_does_not_come_when_it_is_its_turn_is_passed_by() -> None:
    state = gone(structs.replace(Rates(), width=1.0, at=NOW), ask("first"), NOW)
    state, wait = waited(state, ask("died"), NOW)
    due = NOW + wait.seconds
    state, _ = waited(state, ask("next"), NOW)
    state = structs.replace(rates.saw(state, "first", {}, NOW + 0.1), width=1.0)
    state, _ = waited(state, ask("next"), due + rates.PASSED - 0.1)  # it may still come
    gone(state, ask("next"), due + rates.PASSED + 0.1)


def test_what_the_dead_had_asked_for_is_not_owed() -> None:
    """Else what they waited for would be kept for them, and the others would wait for that as well."""
    state = gone(known(requests=(60, 30)), ask("died"), NOW)
    for number in range(29):
        state = gone(state, ask(f"d{number}"), NOW)
    state, _ = waited(state, ask("waits"), NOW)
    state = gone(state, ask("lives"), NOW + 20)
    state = rates.saw(state, "lives", {"requests": Allowance(60, 40, 1.0)}, NOW + 20.1)
    assert state.buckets["requests"].level == 40


def test_one_that_is_turned_away_among_many_stops_nobody() -> None:
    state = structs.replace(Rates(), width=16.0, at=NOW)
    now = NOW
    for number in range(300):
        now += 0.1
        state = gone(state, ask(f"c{number}"), now)
        state = (
            rates.failed(state, f"c{number}", 529, None, {}, now)
            if number % 10 == 5
            else rates.saw(state, f"c{number}", {}, now)
        )
    assert (state.stops, state.refusals, state.stopped, state.width >= 16.0) == (0, 0, 0.0, True)


@pytest.mark.parametrize(("status", "after"), [(429, None), (429, 2.0), (529, 2.0)])
def test_a_limit_or_a_wish_to_be_left_alone_stops_everybody_at_once(status: int, after: float | None) -> None:
    state = structs.replace(Rates(), width=16.0, at=NOW)
    state = rates.failed(gone(state, ask("a"), NOW), "a", status, after, {}, NOW)
    assert (state.stops, state.width) == (1, 1.0)
    assert waited(state, ask("b"), NOW)[1].status == status


def test_several_that_are_turned_away_stop_everybody_and_one_does_where_it_was_made_to_see() -> None:
    state = structs.replace(Rates(), width=16.0, at=NOW)
    for number in range(int(rates.ALARM)):
        state = gone(state, ask(f"c{number}"), NOW)
    stops = []
    for number in range(int(rates.ALARM)):
        state = rates.failed(state, f"c{number}", 529, None, {}, NOW + 0.1)
        stops.append(state.stops)
    assert stops == [0] * (int(rates.ALARM) - 1) + [1]
    probe = state.stopped + 0.1
    state = rates.failed(gone(state, ask("probe"), probe), "probe", 529, None, {}, probe)
    assert (state.stops, state.refusals, state.stopped - probe) == (2, 2, pytest.approx(2))


def test_what_was_turned_away_long_ago_is_forgotten() -> None:
    state = structs.replace(Rates(), width=16.0, at=NOW)
    for number in range(20):
        now = NOW + 60 * number
        state = rates.failed(gone(state, ask(f"c{number}"), now), f"c{number}", 529, None, {}, now)
    assert state.stops == 0


def test_that_few_were_on_their_way_when_one_was_turned_away_does_not_make_the_width_creep() -> None:
    now = NOW
    state = rates.failed(gone(structs.replace(Rates(), width=16.0, at=now), ask("a"), now), "a", 429, None, {}, now)
    sizes = []
    for turn in range(4):
        now += 2
        went = [name for name in (f"{turn}.{number}" for number in range(20)) if _goes(state, name, now)]
        for name in went[: int(state.width)]:
            state = gone(state, ask(name), now)
        sizes.append(int(state.width))
        for name in went[: int(state.width)]:
            state = rates.saw(state, name, {}, now + 0.3)
    assert sizes == [1, 2, 3, 4]


def test_whose_clock_is_behind_does_not_look_dead() -> None:
    state = gone(Rates(at=NOW + 5, width=1.0), ask("behind"), NOW)
    waited(state, ask("ahead"), NOW + 5.5)


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
