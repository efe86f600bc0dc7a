"""Time, as something that is passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Unix seconds. ``time.time`` in production."""
