"""What calls of models cost: a table of prices that ships, and what the configuration says instead."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import structs

from concertino.contracts.messages import Usage
from concertino.runtime.config import Price

_TABLE = Path(__file__).with_name("prices.toml")
_DATE = re.compile(r"-20[0-9]{6}$")
_CACHE_WRITE, _CACHE_READ = 1.25, 0.1
"""Times the price of input, where a table does not say."""


@functools.cache
def shipped() -> Mapping[str, Price]:
    """The table that ships, by model."""
    return msgspec.convert(tomllib.loads(_TABLE.read_text("utf-8")), dict[str, Price])


def priced(model: str, usage: Usage, prices: Mapping[str, Price]) -> Usage:
    """``usage`` of one call of ``model`` with what it cost. ``prices`` go before those that ship.

    A model that is in neither table costs nothing here, and is counted as unpriced if it took any tokens.
    """
    price = _of(model, prices) or _of(model, shipped())
    if price is None:
        took = usage.input_tokens or usage.output_tokens or usage.cache_write_tokens or usage.cache_read_tokens
        return structs.replace(usage, unpriced_calls=1 if took else 0)
    return structs.replace(usage, cost_usd=_cost(price, usage))


def dearest(model: str, input_tokens: int, searches: int, prices: Mapping[str, Price]) -> tuple[float, float | None]:
    """Dollars that a call of ``model`` may cost at the most: for its input, all of it written to the cache if that is dearer,
    with its ``searches``; and for each token of its answer. The latter is None where the model has no price."""
    price = _of(model, prices) or _of(model, shipped())
    if price is None:
        return 0.0, None
    read = Usage(input_tokens=input_tokens, web_searches=searches)
    kept = Usage(cache_write_tokens=input_tokens, web_searches=searches)
    cost = max(_cost(price, read), _cost(price, kept))
    return cost, _cost(price, Usage(input_tokens=input_tokens, output_tokens=1_000_000)) / 1e6 - _cost(price, read) / 1e6


def _of(model: str, prices: Mapping[str, Price]) -> Price | None:
    return prices.get(model) or prices.get(_DATE.sub("", model))


def _cost(price: Price, usage: Usage) -> float:
    write = price.input * _CACHE_WRITE if price.cache_write is None else price.cache_write
    read = price.input * _CACHE_READ if price.cache_read is None else price.cache_read
    dear, dear_output = 1.0, price.output
    prompt = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens
    if price.long is not None and prompt > price.long.over:
        dear, dear_output = price.long.input / price.input if price.input else 1.0, price.long.output
    prompted = usage.input_tokens * price.input + usage.cache_write_tokens * write + usage.cache_read_tokens * read
    searched = usage.web_searches * price.web_searches / 1_000
    return (prompted * dear + usage.output_tokens * dear_output) / 1_000_000 + searched
