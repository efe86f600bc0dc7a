"""Every metric of every service, spelt once: name, labels, help. ``docs/metrics.md`` is written from here.

Values of labels come from closed sets: kinds and lanes, codes of errors, models that are configured. Ids never are labels.
Durations are seconds, money is US dollars.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

disable_created_metrics()  # type: ignore[no-untyped-call]

_QUICK = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)
"""Seconds, from what the bus alone takes to what a long research takes."""
_LONG = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600)

BUILD = Gauge("concertino_build_info", "Always 1: which release a process runs, as which service.", ["service", "version"])
CONNECTED = Gauge("concertino_bus_connected", "1 while the connection to NATS is up.")

TASKS = Counter("concertino_tasks", "Tasks that reached their outcome.", ["outcome", "lane"])
TASK_SECONDS = Histogram("concertino_task_seconds", "From submission to outcome.", ["outcome"], buckets=_LONG)
TASK_ROUNDS = Counter("concertino_rounds", "Rounds that were planned.")

PENDING = Gauge("concertino_pending", "Work that waits in a queue.", ["kind", "lane"])
ACK_PENDING = Gauge("concertino_ack_pending", "Work that some worker has taken and not settled.", ["kind", "lane"])
SLOTS = Gauge("concertino_slots", "Pieces of work that this process does at once.", ["kind"])
IN_FLIGHT = Gauge("concertino_in_flight", "Pieces of work that this process is doing.", ["kind"])
QUEUE_SECONDS = Histogram("concertino_queue_seconds", "From a queue to a worker's slot.", ["kind", "lane"], buckets=_QUICK)
WORK_SECONDS = Histogram("concertino_work_seconds", "One attempt, by how it ended.", ["kind", "status"], buckets=_QUICK)
ATTEMPTS = Counter("concertino_attempts", "Attempts that were begun.", ["kind"])
REDELIVERIES = Counter("concertino_redeliveries", "Deliveries after the first, whatever the cause.", ["kind"])
RETRIES = Counter("concertino_retries", "Attempts that failed and are tried again.", ["kind", "code"])
FAILURES = Counter("concertino_failed_results", "Work that ended as a failed result.", ["kind", "code"])
HANDED_BACK = Counter("concertino_handed_back", "Work that a leaving worker handed back.", ["kind"])
LATE = Counter("concertino_late_results", "Results that came second: another attempt was first.", ["kind"])

MODEL_CALLS = Counter("concertino_model_calls", "Calls of a model, by how they ended.", ["kind", "model", "ended"])
MODEL_SECONDS = Histogram("concertino_model_call_seconds", "One call of a model.", ["kind", "model"], buckets=_LONG)
TOKENS = Counter("concertino_tokens", "Tokens: input, output, cache_write or cache_read.", ["kind", "model", "type"])
COST = Counter("concertino_cost_dollars", "What model calls cost, by the table of prices.", ["kind", "model"])
TOOL_CALLS = Counter("concertino_tool_calls", "Calls of tools by models and handlers, by how they ended.", ["kind", "ended"])
CITATIONS = Counter("concertino_citations", "Quotes that were checked against their evidence.", ["check"])
"""``check`` is ``passed`` or ``failed``."""
for _check in ("passed", "failed"):
    CITATIONS.labels(_check)  # a share of nothing is no number


def seen(kind: str) -> None:
    """Show what is counted of ``kind`` from now on, as 0 until something happens."""
    for metric in (IN_FLIGHT, ATTEMPTS, REDELIVERIES, HANDED_BACK, LATE):
        metric.labels(kind)


def every() -> list[MetricWrapperBase]:
    """All of them, in the order above."""
    return [metric for metric in globals().values() if isinstance(metric, MetricWrapperBase)]
