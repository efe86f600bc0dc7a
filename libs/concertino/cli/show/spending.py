"""What models took, for people. Nothing at all where none was asked."""

from __future__ import annotations

from collections.abc import Iterator

from concertino.cli.show.text import clean, plural
from concertino.contracts.messages import Usage
from concertino.contracts.view import TaskView, UsageView

HEADERS = ("", "calls", "read anew", "cached", "from cache", "written", "searches", "cost")
"""Of :func:`rows`: tokens that the model read, that the provider kept, that came from there, and that the model wrote."""


def spent(usage: Usage | UsageView, max_tokens: int | None = None, max_cost: float | None = None) -> list[str]:
    """``2 calls``, ``1,234 tokens (800 from cache)``, ``$0.05``; of a budget ``1,234 of 5,000 tokens``, ``$0.05 of $2.00``."""
    if usage == Usage() or not (usage.model_calls or tokens(usage) or usage.cost_usd):
        return []
    cached = f" ({usage.cache_read_tokens:,} from cache)" if usage.cache_read_tokens else ""
    took = plural(tokens(usage), "token") if max_tokens is None else f"{tokens(usage):,} of {plural(max_tokens, 'token')}"
    paid = cost(usage) if max_cost is None else f"{cost(usage)} of {dollars(max_cost)}"
    return [plural(usage.model_calls, "call"), f"{took}{cached}", paid]


def tokens(usage: Usage | UsageView) -> int:
    """All of them, each counted once."""
    return usage.input_tokens + usage.output_tokens + usage.cache_write_tokens + usage.cache_read_tokens


def cost(usage: Usage | UsageView) -> str:
    """``$0.05``, and how many calls that does not contain."""
    if not usage.unpriced_calls:
        return dollars(usage.cost_usd)
    unknown = f"{plural(usage.unpriced_calls, 'call')} without a price"
    return f"{dollars(usage.cost_usd)} and {unknown}" if usage.cost_usd else unknown


def dollars(amount: float) -> str:
    """Cents, and below a cent as many places as tell something."""
    if 0 < amount < 0.0001:
        return f"${amount:.1g}"
    return f"${amount:.4f}" if 0 < amount < 0.01 else f"${amount:,.2f}"


def prompts(task: TaskView) -> str:
    """Every prompt that was used, with its version, in the order of the work."""
    rounds = [work.prompt for round_ in task.plan.rounds for work in (round_.planning, round_.writing) if work]
    named = " ".join([*rounds[:1], *(subtask.prompt for subtask in task.subtasks), *rounds[1:]])
    return clean(", ".join(dict.fromkeys(named.split())))


def rows(task: TaskView) -> Iterator[tuple[str, ...]]:
    """A row for each kind, then one for each model; none where no model was asked."""
    if not spent(task.usage):
        return
    for name, usage in (*task.by_kind.items(), *task.by_model.items()):
        counts = (
            usage.model_calls,
            usage.input_tokens,
            usage.cache_write_tokens,
            usage.cache_read_tokens,
            usage.output_tokens,
            usage.web_searches,
        )
        yield clean(name), *(f"{count:,}" if count else "" for count in counts), cost(usage)
