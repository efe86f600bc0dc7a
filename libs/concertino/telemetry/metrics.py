"""Every metric of every service, spelt once: name, labels, help. ``docs/metrics.md`` is written from here.

Values of labels come from closed sets (:mod:`concertino.telemetry.labels`). Ids never are labels. Durations are seconds, money
is US dollars.
"""

from __future__ import annotations

from typing import Any, Self

import prometheus_client
from prometheus_client import disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from concertino.contracts.messages import ResultStatus
from concertino.telemetry.labels import CHECKS, CLOSED, CODES, HEDGE_ENDS, LACKING, REFUSALS, TOKEN_TYPES

disable_created_metrics()  # type: ignore[no-untyped-call]


_REMEMBERED = 1000
"""Combinations of values, as they are given, whose series is found at once."""


class _Bounded(MetricWrapperBase):
    """A metric whose labels take only what their closed set knows."""

    _by_values: dict[tuple[Any, ...], Self] | None = None

    def labels(self, *labelvalues: Any, **labelkwargs: Any) -> Self:
        values = labelvalues
        if labelkwargs:
            values = (*labelvalues, *(labelkwargs[name] for name in self._labelnames[len(labelvalues) :]))
        known = self._by_values
        if known is None:
            known = self._by_values = {}
        if found := known.get(values):
            return found
        found = super().labels(*(CLOSED[name](str(value)) for name, value in zip(self._labelnames, values, strict=True)))
        if len(known) < _REMEMBERED:  # what comes from outside may be anything
            known[values] = found
        return found

    def clear(self) -> None:
        """Forget every series, also those that are found at once."""
        self._by_values = None
        super().clear()


class Counter(_Bounded, prometheus_client.Counter):
    """Only grows; from 0 again when its process starts anew, as ``rate()`` takes into account."""


class Gauge(_Bounded, prometheus_client.Gauge):
    """What holds now."""


class Histogram(_Bounded, prometheus_client.Histogram):
    """How often, how long in all, and how many took how long."""


_QUICK = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Seconds, from what the bus alone takes to what a long research takes."""
_LONG = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600)

BUILD = Gauge("concertino_build_info", "Always 1: which release a process runs, as which service.", ["service", "version"])
CONNECTED = Gauge("concertino_bus_connected", "1 while the connection to NATS is up.")

TASKS = Counter("concertino_tasks", "Tasks that reached their outcome.", ["outcome", "lane"])
TASK_SECONDS = Histogram("concertino_task_seconds", "From submission to outcome.", ["outcome"], buckets=_LONG)
TASK_ROUNDS = Counter("concertino_rounds", "Rounds that were planned.")
MISSING = Counter(
    "concertino_missing_results", "Subtasks without a result when their task came to its end uncancelled.", ["kind"]
)

# Every orchestrator looks at the queues, and all of them tell the same of one queue: it is to be read by max, not by sum.
PENDING = Gauge(
    "concertino_pending", "Work that waits in a queue. Each orchestrator says the same: take the max.", ["kind", "lane"]
)
ACK_PENDING = Gauge(
    "concertino_ack_pending", "Work that a worker has, or that waits for another try. As above: take the max.", ["kind", "lane"]
)
QUEUE_LIMIT = Gauge(
    "concertino_queue_limit", "Work that one queue holds at the most, waiting or taken. 0: any amount. As above: take the max."
)
QUEUE_FULL = Counter(
    "concertino_queue_full",
    "Times that work of a task was not put into its queue, as that was full. It is tried again.",
    ["kind", "lane"],
)
TRIGGERS = Gauge(
    "concertino_triggers", "Facts that no orchestrator is done with: waiting or taken. As above: take the max.", ["state"]
)
SLOTS = Gauge("concertino_slots", "Pieces of work that this process does at once.", ["kind"])
IN_FLIGHT = Gauge("concertino_in_flight", "Pieces of work that this process is doing.", ["kind"])
STUCK = Gauge("concertino_stuck", "Pieces of work that were told to end in this process, and do not.", ["kind"])
QUEUE_SECONDS = Histogram(
    "concertino_queue_seconds",
    "From a queue to a worker's slot, for what comes for the first time.",
    ["kind", "lane"],
    buckets=_QUICK,
)
WORK_SECONDS = Histogram("concertino_work_seconds", "One attempt, by how it ended.", ["kind", "status"], buckets=_QUICK)
ATTEMPTS = Counter("concertino_attempts", "Attempts that were begun.", ["kind"])
REDELIVERIES = Counter("concertino_redeliveries", "Deliveries after the first, whatever the cause.", ["kind"])
RETRIES = Counter("concertino_retries", "Attempts that failed and are tried again.", ["kind", "code"])
RESULTS = Counter("concertino_results", "Work that ended, with the result that counts: the first.", ["kind", "status"])
FAILURES = Counter("concertino_failed_results", "Those of them that failed, by cause.", ["kind", "code"])
HANDED_BACK = Counter("concertino_handed_back", "Work that a leaving worker handed back.", ["kind"])
LATE = Counter("concertino_late_results", "Results that came second: another attempt was first.", ["kind"])

HANDED_OVER = Counter(
    "concertino_handed_over",
    "Groups of facts that an orchestrator had another look at, whose task it is. Unanswered: it did so itself.",
    ["answer"],
)
OVERDUE = Counter("concertino_timers_overdue", "Timers that did not reach their task's log in time: an orchestrator said so.")
HEDGES = Counter("concertino_hedges", "Second attempts that were sent beside a slow first.", ["kind"])
HEDGES_ENDED = Counter(
    "concertino_hedges_ended",
    "Those of them whose task has ended. Won: they brought the result; lost: the first did, or none.",
    ["kind", "hedge"],
)

MODEL_CALLS = Counter("concertino_model_calls", "Calls of a model, by how they ended.", ["kind", "model", "ended"])
RECALLED = Counter(
    "concertino_recalled_answers",
    "Answers of models that an earlier attempt had: they are not asked for again.",
    ["kind"],
)
MODEL_SECONDS = Histogram("concertino_model_call_seconds", "One call of a model.", ["kind", "model"], buckets=_LONG)
TOKENS = Counter("concertino_tokens", "Tokens: input, output, cache_write or cache_read.", ["kind", "model", "type"])
COST = Counter("concertino_cost_dollars", "What model calls cost, by the table of prices.", ["kind", "model"])
UNPRICED = Counter(
    "concertino_unpriced_calls", "Calls of models without a price: dollars do not contain them.", ["kind", "model"]
)
BUDGET_REFUSALS = Counter(
    "concertino_budget_refusals",
    "Calls of models that were not made, by what was missing: tokens, cost, a price (unpriced), or the ledger.",
    ["kind", "lacking"],
)
RATE_WAIT = Histogram(
    "concertino_rate_wait_seconds",
    "What a call of a model waited for its turn, as its provider allows all workers together only so much.",
    ["kind", "model"],
    buckets=_LONG,
)
RATE_REFUSALS = Counter(
    "concertino_rate_refusals",
    "Calls that a provider turned away because it was asked too much, by HTTP status.",
    ["kind", "model", "refusal"],
)
SEARCHES = Counter("concertino_provider_searches", "Searches that a model's provider made and charges for.", ["kind", "model"])
TOOL_CALLS = Counter(
    "concertino_tool_calls",
    "Calls of tools, by how they ended; limit: refused, as the brief allows no more.",
    ["kind", "ended"],
)
MCP_SECONDS = Histogram("concertino_mcp_call_seconds", "One call at an MCP server.", ["server", "ended"], buckets=_QUICK)
FETCH_SECONDS = Histogram("concertino_fetch_seconds", "One request to a site, by how it ended.", ["ended"], buckets=_QUICK)
CITATIONS = Counter("concertino_citations", "Quotes that were checked against their evidence: passed or failed.", ["check"])


def seen(kind: str, model: str) -> None:
    """Show what is counted of ``kind``, and of the model that it asks, as 0 until something happens.

    What is 1 when a process is looked at first has not grown, as far as ``rate()`` can tell.
    """
    for metric in (IN_FLIGHT, ATTEMPTS, REDELIVERIES, HANDED_BACK, LATE, RECALLED):
        metric.labels(kind)
    for status in ResultStatus:
        RESULTS.labels(kind, status)
    for code in CODES:
        FAILURES.labels(kind, code)
    for metric in (COST, UNPRICED, SEARCHES):
        metric.labels(kind, model)
    for type_ in TOKEN_TYPES:
        TOKENS.labels(kind, model, type_)
    RATE_WAIT.labels(kind, model)
    for refusal in REFUSALS:
        RATE_REFUSALS.labels(kind, model, refusal)
    for lacking in LACKING:
        BUDGET_REFUSALS.labels(kind, lacking)


def hedged(kind: str) -> None:
    """Show the hedges of ``kind`` as 0 until there is one."""
    HEDGES.labels(kind)
    for how in HEDGE_ENDS:
        HEDGES_ENDED.labels(kind, how)


def every() -> list[MetricWrapperBase]:
    """All of them, in the order above."""
    return [metric for metric in globals().values() if isinstance(metric, MetricWrapperBase)]


for _check in CHECKS:
    CITATIONS.labels(_check)  # a share of nothing is no number
