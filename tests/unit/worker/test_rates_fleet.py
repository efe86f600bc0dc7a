"""What the rules of the shared rate limit come to for a whole fleet: how much of a provider's limit is used, how often it turns
somebody away, and how long nothing goes on, on a clock that is pretended."""

from __future__ import annotations

import pytest

from kit.fleet import Came, Fleet, Provider

SEEDS = (1, 2, 3)
DAY = 0.02
"""Of all calls a provider turns away so many on a usual day."""


def refusals(came: Came) -> float:
    return sum(came.refused.values()) / max(came.taken, 1)


def test_a_crowd_comes_near_the_limit_and_is_hardly_ever_refused() -> None:
    came = Fleet(Provider(600)).run(90)
    assert came.used >= 0.95
    assert refusals(came) <= 0.02  # most of it of the first, who know of no limit yet
    assert came.looks <= 3 * came.taken


def test_without_it_the_same_crowd_is_a_storm() -> None:
    assert refusals(Fleet(Provider(600), limited=False).run(90)) > 0.5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("headers", [True, False])
def test_usual_refusals_and_workers_that_die_cost_next_to_nothing(seed: int, headers: bool) -> None:
    came = Fleet(Provider(600, overloaded=DAY, headers=headers), kills=10, seed=seed).run(120)
    assert came.used >= 0.85
    assert refusals(came) <= 0.08
    assert came.standstill <= 5


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_so_where_the_limit_is_low(seed: int) -> None:
    came = Fleet(Provider(120, overloaded=DAY), kills=10, seed=seed).run(120)
    assert came.used >= 0.85
    assert refusals(came) <= 0.1


def test_it_is_so_where_the_fleet_is_large() -> None:
    came = Fleet(Provider(2_400, overloaded=DAY), processes=10, pieces=300, kills=5).run(60)
    assert came.used >= 0.85
    assert refusals(came) <= 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stop_is_kept_by_everyone_and_over_when_it_is_over(seed: int) -> None:
    provider = Provider(600, overloaded=DAY, closed=(30, 15))
    came = Fleet(provider, seed=seed, kills=10).run(75)
    while_closed = [at for at in provider.refused[429] if at > provider.closes + 0.2]
    assert len(while_closed) <= 3  # what was on its way
    assert came.again <= 2
    soon = [at for at in provider.taken if provider.opens <= at < provider.opens + 5]
    assert len(soon) >= 25  # half of the limit, as it begins with one


def test_a_provider_that_takes_nothing_is_hardly_asked() -> None:
    came = Fleet(Provider(600, overloaded=1.0, filled=1.0)).run(120)
    assert sum(came.refused.values()) <= 30


@pytest.mark.parametrize("seed", SEEDS)
def test_one_call_in_ten_turned_away_is_no_outage(seed: int) -> None:
    came = Fleet(Provider(600, overloaded=0.1), seed=seed).run(90)
    assert came.used >= 0.85
    assert refusals(came) <= 0.2
