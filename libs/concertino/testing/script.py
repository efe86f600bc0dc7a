"""Which reply a request gets."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from concertino.testing.asked import Asked
from concertino.testing.composing import BadScript
from concertino.testing.replies import Reply

Match: TypeAlias = str | Callable[[Asked], bool]
Scripted: TypeAlias = Reply | Callable[[Asked], Reply | Awaitable[Reply]]


class Rule:
    """For the requests that match: the replies in order, then ``every`` for ever."""

    def __init__(self, match: Match, replies: tuple[Scripted, ...], every: Scripted | None) -> None:
        self._match, self._every = match, every
        self.left = list(replies)
        """Replies that nobody has asked for yet."""

    def take(self, asked: Asked) -> Scripted | None:
        """The next reply to ``asked``, if this rule has one."""
        if not matches(self._match, asked):
            return None
        return self.left.pop(0) if self.left else self._every


def matches(match: Match, asked: Asked) -> bool:
    return asked.says(match) if isinstance(match, str) else match(asked)


async def reply_to(asked: Asked, rules: list[Rule]) -> Reply:
    """What the first rule that matches has for ``asked``. Raises :class:`BadScript`."""
    try:
        scripted = next((found for rule in rules if (found := rule.take(asked)) is not None), None)
        reply = scripted(asked) if callable(scripted) else scripted
        if inspect.isawaitable(reply):
            reply = await reply
    except Exception as e:
        raise BadScript(f"the script failed: {type(e).__name__}: {e}") from e
    if reply is None:
        tools = ", ".join(asked.tools) or "none"
        raise BadScript(f"nothing is scripted for this request to {asked.model} (tools: {tools}): {asked.text[:300]}")
    return reply
