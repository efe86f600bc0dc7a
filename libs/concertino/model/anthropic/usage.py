"""What a message took, as the API counts it."""

from __future__ import annotations

from anthropic.types.beta import BetaMessage, BetaUsage

from concertino.contracts.messages import Usage


def usage_of(message: BetaMessage | None) -> Usage:
    """The tokens of one call, as far as it came and says so; a call without an answer took none.

    What the provider took to summarize the conversation is not in its totals, and is added here.
    """
    counted: BetaUsage | None = message.usage if message else None
    if counted is None:
        return Usage(model_calls=1)
    total = Usage(
        model_calls=1,
        input_tokens=counted.input_tokens or 0,
        output_tokens=counted.output_tokens or 0,
        cache_write_tokens=counted.cache_creation_input_tokens or 0,
        cache_read_tokens=counted.cache_read_input_tokens or 0,
        web_searches=counted.server_tool_use.web_search_requests if counted.server_tool_use else 0,
    )
    for part in counted.iterations or ():
        if part.type == "compaction":
            total += Usage(
                input_tokens=part.input_tokens,
                output_tokens=part.output_tokens,
                cache_write_tokens=part.cache_creation_input_tokens,
                cache_read_tokens=part.cache_read_input_tokens,
            )
    return total
