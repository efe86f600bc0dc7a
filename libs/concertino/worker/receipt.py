"""What a delivery is about, for spans and for the log, before anything of it is read."""

from __future__ import annotations

from contextlib import AbstractContextManager

from concertino.bus.port import Delivery
from concertino.contracts.subjects import Header, Subjects
from concertino.contracts.trace import trace_of
from concertino.telemetry import logs, tracing
from concertino.telemetry.names import Attribute, Event
from concertino.worker.intake import Drop, Fail, Leave, Run


def receiving(delivery: Delivery, subjects: Subjects, kind: str) -> AbstractContextManager[tracing.Span]:
    """Around all that is done about ``delivery``. Its span goes on in the trace that the message names: deliveries of one piece
    of work stand side by side in it, whoever has them."""
    message = delivery.message

    def said() -> tracing.Attributes:
        lane = subjects.lane_of(message.subject)
        return {
            Attribute.SYSTEM: "nats",
            Attribute.OPERATION: "process",
            Attribute.OPERATION_TYPE: "process",
            Attribute.DESTINATION: message.subject,
            Attribute.CONSUMER: subjects.work_consumer(lane, kind),
            Attribute.MESSAGE_ID: message.headers.get(Header.MESSAGE_ID, ""),
            Attribute.BODY_SIZE: len(message.data),
            Attribute.KIND: kind,
            Attribute.LANE: lane,
            Attribute.DELIVERY: delivery.attempt,
        }

    return tracing.span(f"process {message.subject}", "consumer", said, parent=trace_of(message.headers))


def told(found: Run | Fail | Drop | Leave, about: logs.About, span: tracing.Span) -> None:
    """What it is about, once that was read."""
    match found:
        case Run(work, attempt, before):
            about.task, about.work, about.subtask, about.attempt = work.task, work.id, work.brief.id, attempt
            if before:
                span.set({Attribute.BEFORE: before.became})
                span.link(before.trace)
        case Fail(task, id_, failure, attempt):
            about.task, about.work, about.attempt = task, id_, attempt
            span.failed(failure.code)
        case Drop():
            span.event(Event.DROPPED)
            return
        case Leave():
            span.event(Event.TAKEN_OVER)
            return
    span.set(
        {
            Attribute.CONVERSATION: about.task,
            Attribute.GEN_AI_CONVERSATION: about.task,
            Attribute.WORK: about.work,
            Attribute.ATTEMPT: about.attempt,
        }
    )
