"""Write a worker: a kind, a description that the planner reads, and a handler."""

from concertino.contracts.messages import Evidence, Finding, Locator, Passage, Result, Subtask
from concertino.model.port import Answer, Claim, Findings, Quote
from concertino.worker.context import Context
from concertino.worker.worker import Worker

__all__ = [
    "Answer",
    "Claim",
    "Context",
    "Evidence",
    "Finding",
    "Findings",
    "Locator",
    "Passage",
    "Quote",
    "Result",
    "Subtask",
    "Worker",
]
