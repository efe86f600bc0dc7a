"""Submit a task from any service, follow it, and have its report."""

from concertino.client.client import Client, WorkerKind
from concertino.client.failures import Failures
from concertino.client.listing import TaskSummary
from concertino.client.redriving import Redriven
from concertino.contracts.failures import FailedWork
from concertino.contracts.messages import Limits, Plan, Source, Subtask

__all__ = [
    "Client",
    "FailedWork",
    "Failures",
    "Limits",
    "Plan",
    "Redriven",
    "Source",
    "Subtask",
    "TaskSummary",
    "WorkerKind",
]
