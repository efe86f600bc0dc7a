"""The span around a question, from its submission to its outcome."""

from __future__ import annotations

from contextlib import AbstractContextManager

from concertino.contracts.messages import OutcomeStatus
from concertino.telemetry import tracing
from concertino.telemetry.names import Attribute

WORKFLOW = "concertino"


def asking() -> AbstractContextManager[tracing.Span]:
    """Around submitting a task and waiting for its outcome."""
    said = {Attribute.GEN_AI_OPERATION: "invoke_workflow", Attribute.GEN_AI_WORKFLOW: WORKFLOW}
    return tracing.span(f"invoke_workflow {WORKFLOW}", attributes=said)


def told(span: tracing.Span, task: str, status: str) -> None:
    """It has its outcome."""
    span.set({Attribute.GEN_AI_CONVERSATION: task, Attribute.OUTCOME: status})
    if status == OutcomeStatus.FAILED:
        span.failed(status)
