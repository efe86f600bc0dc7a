"""What spans and lines of the log are told by, spelt once. ``docs/tracing.md`` says what each means.

The names that begin with ``messaging`` and ``gen_ai`` are OpenTelemetry's semantic conventions; those with ``concertino`` ours.
Values are names, numbers and codes; what was asked, read or answered is in them only where an installation asks for it.
"""

from __future__ import annotations


class Attribute:
    """Of spans, their events and their links."""

    SYSTEM = "messaging.system"
    OPERATION = "messaging.operation.name"
    OPERATION_TYPE = "messaging.operation.type"
    DESTINATION = "messaging.destination.name"
    TEMPLATE = "messaging.destination.template"
    CONSUMER = "messaging.consumer.group.name"
    MESSAGE_ID = "messaging.message.id"
    CONVERSATION = "messaging.message.conversation_id"
    BODY_SIZE = "messaging.message.body.size"
    BATCH = "messaging.batch.message_count"

    GEN_AI_OPERATION = "gen_ai.operation.name"
    GEN_AI_AGENT = "gen_ai.agent.name"
    GEN_AI_WORKFLOW = "gen_ai.workflow.name"
    GEN_AI_CONVERSATION = "gen_ai.conversation.id"
    GEN_AI_MODEL = "gen_ai.request.model"
    GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
    GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    GEN_AI_CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
    GEN_AI_TOOL = "gen_ai.tool.name"
    GEN_AI_TOOL_TYPE = "gen_ai.tool.type"
    GEN_AI_TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
    """Only where it was asked for, as what follows."""
    GEN_AI_TOOL_RESULT = "gen_ai.tool.call.result"

    ERROR = "error.type"
    """A code of :mod:`concertino.contracts.errors`, or the type of an exception that is a bug."""

    LANE = "concertino.lane"
    KIND = "concertino.kind"
    WORK = "concertino.work"
    ATTEMPT = "concertino.attempt"
    DELIVERY = "concertino.delivery"
    BEFORE = "concertino.before"
    """What became of the delivery before: ``tried_again``, ``handed_back``, or ``lost``."""
    WAVE = "concertino.wave"
    STATUS = "concertino.status"
    """Of a result: ``complete``, ``partial`` or ``failed``."""
    OUTCOME = "concertino.outcome"
    SHORTFALL = "concertino.shortfall"
    """Why a result is partial: the code of an error."""
    COST = "concertino.cost_usd"
    DELAY = "concertino.delay"
    """Seconds until work that is tried again is delivered again."""


class Event:
    """Of spans: what is worth a note and is no error."""

    TRIED_AGAIN = "tried again"
    HANDED_BACK = "handed back"
    TAKEN_OVER = "another worker took it over"
    OVER = "the task ended"
    LATE = "another attempt was first"
    DROPPED = "nobody waits for it"
    EXISTS = "it was there already"


class Field:
    """Of lines of the log, besides those of :class:`concertino.telemetry.logs.About`."""

    SERVICE = "service"
    TRACE = "trace_id"
    SPAN = "span_id"
