"""Who thinks, for one kind: from the settings, the configuration file and whether there is a key."""

from __future__ import annotations

import os
from collections.abc import Mapping

from concertino.contracts.errors import BadSetting
from concertino.model.port import Model
from concertino.runtime.config import Config
from concertino.runtime.settings import Settings

KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
"""Either is enough."""


def has_key(environment: Mapping[str, str]) -> bool:
    """Whether there is a key for the API."""
    return any(environment.get(name) for name in KEYS)


def model_for(kind: str, settings: Settings, config: Config, environment: Mapping[str, str] | None = None) -> Model:
    """The model that ``kind`` thinks with. Raises :class:`BadSetting` where it needs a key and there is none."""
    keyed = has_key(os.environ if environment is None else environment)
    if settings.model == "extractive" or (settings.model == "auto" and not keyed):
        from concertino.model.extractive import Extractive  # reads its lists of words, which whoever has a key needs not

        return Extractive()
    if not keyed:
        raise BadSetting(f"CTN_MODEL is anthropic, and there is no key: set {KEYS[0]}, or CTN_MODEL=extractive to do without")
    from concertino.model.anthropic import Anthropic  # takes a second to import, and is an extra

    return Anthropic(kind, config, environment=environment)
