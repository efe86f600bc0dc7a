"""How many calls of tools a piece of research may make, and how long."""

from __future__ import annotations

from collections.abc import Mapping

from concertino.contracts.messages import Work
from concertino.model.port import Tools
from concertino.runtime.config import Level

_BY_EFFORT: Mapping[Level, int] = {"low": 6, "medium": 12, "high": 20}
_ELSE = 12
NEAR = 3
"""Calls that are left when the model is reminded of them."""
_IDLE_TURNS = 8
"""Turns beyond the calls that may be made, for those that bring none: refused, or asked twice."""
MOST_IDLE = 4
"""Turns in a row that bring nothing new, refused or read before, after which research goes in circles. A model that is told
what it did wrong takes one or two to do it right; what follows is paid for in vain."""
_SEARCHES = 4
"""One in so many of the calls may be searches by the provider, within one turn."""
_WRITE_UP = 60.0
"""Seconds that are kept for writing up; a quarter where there is less time."""


class Budget:
    """Calls are limited by the brief; where it sets no limit, by how much effort the task is worth.

    ``hosted``: whether the provider searches, too.
    """

    def __init__(self, tools: Tools, work: Work, *, hosted: bool = False) -> None:
        self._tools = tools
        given, effort = tools.left, effort_of(work)
        self.allowed = (_BY_EFFORT[effort] if effort else _ELSE) if given is None else given
        self.searches = max(self.allowed // _SEARCHES, 1) if hosted else 0
        """What the provider may search within one turn: the same for each, as the tools stay cached only as they are."""
        self.used = 0
        """Calls of our tools and of the provider's."""
        self.turns = 0

    @property
    def left(self) -> int:
        given = self._tools.left
        mine = max(self.allowed - self.used, 0)
        return mine if given is None else min(mine, given)

    @property
    def spent(self) -> bool:
        """Whether it is time to write up: a turn might take more than is left."""
        return self.left < max(self.searches, 1) or self.turns > self.allowed + _IDLE_TURNS


def effort_of(work: Work) -> Level | None:
    """How much effort ``work`` is worth: what its brief says, else its task; None where neither does."""
    given = work.brief.effort if work.brief.effort != "auto" else work.limits.effort
    return None if given == "auto" else given


def write_up_at(work: Work, now: float) -> float:
    """Unix seconds at which research has to end, so that what was found can still be written up."""
    return work.deadline - min(_WRITE_UP, max(work.deadline - now, 0.0) / 4)
