"""Submit a task from any service, follow it, and have its report."""

from concertino.client.client import Client, TaskSummary, WorkerKind

__all__ = ["Client", "TaskSummary", "WorkerKind"]
