"""What calls cost."""

from __future__ import annotations

import pytest

from concertino.contracts.messages import Usage
from concertino.model.anthropic.defaults import chosen
from concertino.model.pricing import priced, shipped
from concertino.runtime.config import Config, ModelChoice, Price

MILLION = 1_000_000


def cost(model: str, **usage: int) -> float:
    return priced(model, Usage(**usage), {}).cost_usd


def test_each_kind_of_token_has_its_price() -> None:
    assert cost("claude-opus-5-5", input_tokens=MILLION) == pytest.approx(4)
    assert cost("claude-opus-5-5", output_tokens=MILLION) == pytest.approx(20)
    assert cost("claude-opus-5-5", cache_write_tokens=MILLION) == pytest.approx(5)
    assert cost("claude-opus-5-5", cache_read_tokens=MILLION) == pytest.approx(0.2)
    assert cost("claude-sonnet-5", cache_read_tokens=MILLION) == pytest.approx(0.2)
    assert cost("claude-sonnet-5-5", web_searches=1000) == pytest.approx(10)


def test_long_prompts_can_be_dearer_in_all_their_parts() -> None:
    assert cost("claude-haiku-5-5", input_tokens=100_000, output_tokens=MILLION) == pytest.approx(0.51)
    long = cost("claude-haiku-5-5", input_tokens=1, cache_read_tokens=MILLION, output_tokens=MILLION)
    assert long == pytest.approx(0.05 + 2.5, rel=1e-5)


def test_a_dated_name_costs_what_its_alias_costs() -> None:
    assert cost("claude-opus-4-5-20251101", input_tokens=MILLION) == pytest.approx(5)


def test_prices_of_the_configuration_go_first() -> None:
    prices = {"claude-opus-5-5": Price(input=1, output=2), "mine": Price(input=3, output=4, cache_read=0)}
    assert priced("claude-opus-5-5", Usage(cache_read_tokens=MILLION), prices).cost_usd == pytest.approx(0.1)
    assert priced("mine", Usage(input_tokens=MILLION, cache_read_tokens=MILLION), prices).cost_usd == pytest.approx(3)


def test_a_model_without_a_price_is_counted_as_such() -> None:
    assert priced("unknown", Usage(model_calls=1, input_tokens=5), {}) == Usage(model_calls=1, input_tokens=5, unpriced_calls=1)
    assert priced("unknown", Usage(model_calls=1), {}) == Usage(model_calls=1)


def test_whoever_thinks_by_default_has_a_price() -> None:
    for kind in ("plan", "synthesize", "web"):
        choice = chosen(kind, Config())
        assert {choice.model, choice.fallback} <= shipped().keys()


def test_planner_and_synthesizer_think_harder_than_workers() -> None:
    assert [chosen(kind, Config()).model for kind in ("plan", "synthesize", "code")] == [
        "claude-opus-5-5", "claude-opus-5-5", "claude-sonnet-5-5",
    ]  # fmt: skip


def test_a_kind_can_be_configured_in_full_and_in_part() -> None:
    config = Config(models={"default": ModelChoice(effort="low"), "web": ModelChoice(model="claude-haiku-5-5", fallback="")})
    web, code = chosen("web", config), chosen("code", config)
    assert (web.model, web.fallback, web.effort, web.max_tokens) == ("claude-haiku-5-5", "", "low", 32_000)
    assert (code.model, code.fallback) == ("claude-sonnet-5-5", "claude-sonnet-5")
    assert chosen("web", Config(models={"web": ModelChoice(model="claude-sonnet-5")})).fallback == ""
