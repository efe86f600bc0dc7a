"""What is slow, as results teach it or an installation says it, and how many hedges results pay for."""

from __future__ import annotations

import random
import statistics
from typing import NamedTuple

import pytest

from concertino.contracts.errors import BadSetting
from concertino.orchestrator.stragglers import ENOUGH, REMEMBERED, SAVED, Stragglers, parse

LATE = 10


def seen(*seconds: float, rule: str = "auto") -> Stragglers:
    found = Stragglers(parse(rule))
    for one in seconds:
        found.saw("web", one)
    return found


def test_it_takes_some_results_to_know_what_is_slow() -> None:
    assert seen(*[2.0] * (ENOUGH - 1)).hedging(["web"]).after == {}
    assert seen(*[2.0] * ENOUGH).hedging(["web", "code"]).after == {"web": 2.0}


def test_slow_is_what_takes_longer_than_most_of_the_latest() -> None:
    assert seen(*(float(n) for n in range(100, 0, -1))).hedging(["web"]).after == {"web": 86.0}
    assert seen(*[90.0] * 50, *[3.0] * REMEMBERED).hedging(["web"]).after == {"web": 3.0}


def test_what_is_over_at_once_is_never_slow() -> None:
    assert seen(*[0.01] * 50).hedging(["web"]).after == {"web": 1.0}


def test_an_installation_may_say_it() -> None:
    assert seen(rule="30,code=off,docs=auto").hedging(["web", "code", "docs"]).after == {"web": 30.0}
    assert seen(*[2.0] * 50, rule="off").hedging(["web"]).after == {}
    assert seen(rule="web=2.5").hedging(["web", "code"]).after == {"web": 2.5}


@pytest.mark.parametrize("text", ["", "no", "-3", "0.5", "nan", "inf", "web=", "=3", "3,4", "web=3,web=4", "auto;off"])
def test_what_makes_no_sense_is_refused_with_a_word(text: str) -> None:
    with pytest.raises(BadSetting, match="CTN_HEDGE: "):
        parse(text)


def test_one_in_five_at_the_most_is_hedged() -> None:
    found = seen(rule="5")
    assert found.hedging(["web"]).left == {"web": 1}
    found.hedged("web")
    assert found.hedging(["web"]).left == {"web": 0}
    for _ in range(4):
        found.saw("web", 1.0)
    assert found.hedging(["web"]).left == {"web": 0}
    found.saw("web", 1.0)
    assert found.hedging(["web"]).left == {"web": 1}
    assert seen(*[1.0] * 5000, rule="5").hedging(["web"]).left == {"web": int(SAVED)}


def test_who_reads_of_many_hedges_whose_results_others_read_hedges_again_soon() -> None:
    found = seen(rule="5")
    for _ in range(200):
        found.hedged("web")
    assert found.hedging(["web"]).left["web"] <= 0
    for _ in range(60):
        found.saw("web", 1.0)
    assert found.hedging(["web"]).left["web"] >= 1


class Simulated(NamedTuple):
    longer: float
    """How much longer a task with a straggler takes than its critical path, on average."""
    usual: float
    """The same of a task without: less than 1, as hedges of what is merely slow sometimes win."""
    missed: float
    """The share of stragglers that are not hedged, as hedges are spent."""
    vain: float
    """The share of parts that are hedged for nothing."""
    extra: float
    """What hedges take beyond the work itself, as a share of it."""


def simulated(spread: float, every: int, tasks: int = 1500) -> Simulated:
    """Of tasks of twelve parts, spread log-normally, with a plan and report as long as two of them, and in one task of
    ``every`` a part that takes ten times the median."""
    drawn, known = random.Random(1), Stragglers(parse("auto"))
    with_one, without = list[float](), list[float]()
    median, parts, missed, vain, extra, work = 2.0, 12, 0, 0, 0.0, 0.0
    for task in range(tasks):
        usual, again = ([median * drawn.lognormvariate(0.0, spread) for _ in range(parts)] for _ in range(2))
        straggles = task % every == every - 1
        first = [LATE * median, *usual[1:]] if straggles else usual
        after, ends = known.hedging(["web"]).after.get("web"), list[float]()
        for part in drawn.sample(range(parts), parts):
            end = first[part]
            if after is not None and end > after and known.hedging(["web"]).left["web"] > 0:
                known.hedged("web")
                vain += not (straggles and part == 0)
                end = min(end, after + again[part])
                extra += end - after
            missed += end == LATE * median
            ends.append(end)
        for end in ends:
            known.saw("web", end)
        work += sum(usual)
        (with_one if straggles else without).append((2 * median + max(ends)) / (2 * median + max(usual)))
    longer, shorter = statistics.mean(with_one), statistics.mean(without)
    return Simulated(longer, shorter, missed / len(with_one), vain / (parts * tasks), extra / work)


@pytest.mark.parametrize("every", [3, 20])
def test_a_straggler_costs_a_task_little_and_hedges_cost_little(every: int) -> None:
    found = simulated(0.5, every)
    assert found.longer < 1.18
    assert found.missed < 0.01
    assert found.vain < 0.15
    assert found.extra < 0.08
