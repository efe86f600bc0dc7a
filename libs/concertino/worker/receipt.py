"""What a delivery is about, for spans and for the log, before anything of it is read."""

from __future__ import annotations

from contextlib import AbstractContextManager

from concertino.bus.port import Delivery
from concertino.contracts.errors import InvalidId
from concertino.contracts.subjects import Header, Subjects
from concertino.contracts.trace import trace_of
from concertino.telemetry import logs, tracing
from concertino.telemetry.names import Attribute
from concertino.worker.intake import Run


def receiving(delivery: Delivery, subjects: Subjects, kind: str) -> AbstractContextManager[tracing.Span]:
    """Around all that is done about ``delivery``. Its span goes on in the trace that the message names: deliveries of one piece
    of work stand side by side in it, whoever has them."""
    message = delivery.message
    lane, message_id = subjects.lane_of(message.subject), message.headers.get(Header.MESSAGE_ID, "")
    said: dict[str, tracing.Value] = {
        Attribute.SYSTEM: "nats",
        Attribute.OPERATION: "process",
        Attribute.OPERATION_TYPE: "process",
        Attribute.DESTINATION: message.subject,
        Attribute.CONSUMER: subjects.work_consumer(lane, kind),
        Attribute.MESSAGE_ID: message_id,
        Attribute.BODY_SIZE: len(message.data),
        Attribute.KIND: kind,
        Attribute.LANE: lane,
        Attribute.DELIVERY: delivery.attempt,
    }
    try:
        task, work = subjects.parse_message_id(message_id)
    except InvalidId:
        pass  # what it is about stands in the payload, if anywhere
    else:
        logs.about(task, work, attempt=delivery.attempt)
        said[Attribute.CONVERSATION] = task
    return tracing.span(f"process {message.subject}", "consumer", said, parent=trace_of(message.headers))


def begun(run: Run, span: tracing.Span) -> None:
    """It was read, and is an attempt."""
    work = run.work
    logs.about(work.task, work.id, work.brief.id, run.attempt)
    span.set({Attribute.CONVERSATION: work.task, Attribute.ATTEMPT: run.attempt})
    if run.before:
        span.set({Attribute.BEFORE: run.before.became})
        span.link(run.before.trace)
