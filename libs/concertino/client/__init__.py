"""Submit a task from any service, follow it, and have its report."""

from concertino.client.client import Client, TaskSummary, WorkerKind
from concertino.contracts.messages import Limits, Plan, Source, Subtask

__all__ = ["Client", "Limits", "Plan", "Source", "Subtask", "TaskSummary", "WorkerKind"]
