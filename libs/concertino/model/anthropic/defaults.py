"""Who thinks with which model, where nothing is configured."""

from __future__ import annotations

from msgspec import structs

from concertino.runtime.config import Config, ModelChoice

STALL = 120.0
"""Seconds in which not even a sign of life comes, after which an answer counts as broken off."""

_STRONG = ModelChoice(model="claude-opus-5-5", fallback="claude-opus-5", max_tokens=32_000)
_WORKER = ModelChoice(model="claude-sonnet-5-5", fallback="claude-sonnet-5", max_tokens=32_000)
_BY_KIND = {"plan": _STRONG, "synthesize": _STRONG}


class Chosen(ModelChoice, frozen=True, kw_only=True):
    """A choice with nothing left open but ``effort``, which is then the model's own."""

    model: str
    fallback: str
    max_tokens: int


def chosen(kind: str, config: Config) -> Chosen:
    """What ``kind`` thinks with: as configured, else as it ships. ``fallback`` is empty where there is no other model."""
    own, shipped = config.model(kind), _BY_KIND.get(kind, _WORKER)
    assert shipped.model
    assert shipped.max_tokens
    model = own.model or shipped.model
    fallback = (shipped.fallback if own.fallback is None else own.fallback) or ""
    return Chosen(
        model=model,
        effort=own.effort,
        fallback="" if fallback == model else fallback,
        max_tokens=own.max_tokens or shipped.max_tokens,
    )


def asked_for(model: str, choice: Chosen) -> Chosen:
    """``choice`` with the ``model`` that a task asks for, and no other to fall back on: whoever names one wants none in its
    place. Empty: as it is."""
    return structs.replace(choice, model=model, fallback="") if model else choice
