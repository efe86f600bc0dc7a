"""What is slow, as results teach it or an installation says it, and how many hedges results pay for."""

from __future__ import annotations

import pytest

from concertino.contracts.errors import BadSetting
from concertino.orchestrator.stragglers import ENOUGH, REMEMBERED, SAVED, Stragglers, parse


def seen(*seconds: float, rule: str = "auto") -> Stragglers:
    found = Stragglers(parse(rule))
    for one in seconds:
        found.saw("web", one)
    return found


def test_it_takes_some_results_to_know_what_is_slow() -> None:
    assert seen(*[2.0] * (ENOUGH - 1)).hedging(["web"]).after == {}
    assert seen(*[2.0] * ENOUGH).hedging(["web", "code"]).after == {"web": 2.0}


def test_slow_is_what_takes_longer_than_nearly_all_of_the_latest() -> None:
    assert seen(*(float(n) for n in range(100, 0, -1))).hedging(["web"]).after == {"web": 96.0}
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


def test_one_in_twenty_at_the_most_is_hedged() -> None:
    found = seen(rule="5")
    assert found.hedging(["web"]).left == {"web": 1}
    found.hedged("web")
    assert found.hedging(["web"]).left == {"web": 0}
    for _ in range(19):
        found.saw("web", 1.0)
    assert found.hedging(["web"]).left == {"web": 0}
    for _ in range(2):
        found.saw("web", 1.0)
    assert found.hedging(["web"]).left == {"web": 1}
    assert seen(*[1.0] * 5000, rule="5").hedging(["web"]).left == {"web": int(SAVED)}
