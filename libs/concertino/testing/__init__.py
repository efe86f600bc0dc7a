"""For tests of what thinks: a server on this machine that speaks the Messages API and answers by script.

It is real HTTP, so that the SDK, its retries and its streams are tested with what uses them. It refuses what the API would
refuse (a tool's call left unanswered, a schema that structured outputs do not take, citations together with one, ...), counts
tokens and what a prompt cache would save, and records every request. A worker of your own is tested with it like this::

    async with MessagesApi() as api:
        api.on("Which licences", UseTools(Tool("grep", pattern="License")), Say(json={"claims": [], "gaps": ["none named"]}))
        model = Anthropic("licences", Config(), environment=api.environment())
        ...                                            # run the worker with it
        assert api.asked[1].results == ("LICENSE:1: MIT License",)
        assert not api.unexpected and not api.left     # it asked for nothing else, and for all that was scripted

Replies are messages (:class:`Say`, :class:`UseTools`, :class:`Blocks`, :class:`CutOff`, :class:`Refuse`, :class:`Pause`,
:class:`FellBack`), errors (:class:`Fault`), anything else over HTTP (:class:`Raw`), and answers that break off
(:class:`Break`) or never come (:class:`Hang`). With :class:`Limits` it limits the rate, as the API does.
"""

from concertino.testing.asked import Asked
from concertino.testing.limits import Limits
from concertino.testing.messages_api import MessagesApi
from concertino.testing.replies import (
    Blocks,
    Break,
    Cited,
    CutOff,
    Fault,
    FellBack,
    Hang,
    Message,
    Pause,
    Raw,
    Refuse,
    Reply,
    Say,
    Tool,
    UseTools,
    hosted_search,
)

__all__ = [
    "Asked",
    "Blocks",
    "Break",
    "Cited",
    "CutOff",
    "Fault",
    "FellBack",
    "Hang",
    "Limits",
    "Message",
    "MessagesApi",
    "Pause",
    "Raw",
    "Refuse",
    "Reply",
    "Say",
    "Tool",
    "UseTools",
    "hosted_search",
]
