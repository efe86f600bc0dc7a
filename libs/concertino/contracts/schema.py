"""JSON Schema and AsyncAPI 3 of everything on the bus, generated from the structs and the subject grammar.

One table, :func:`channels`, says what travels where, who writes it and who reads it; both documents follow from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from concertino.contracts.codec import MAX_MESSAGE, TYPES, VERSION
from concertino.contracts.subjects import Header, Subjects
from concertino.contracts.timeline import Timeline
from concertino.contracts.view import TaskView

Json: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ONCE = "Written once: the server refuses a second message on this subject."


class Channel(Struct, frozen=True):
    """A subject with its variable tokens in braces. ``schema`` is a name of ``codec.TYPES``; None: the payload is empty."""

    name: str
    address: str
    schema: str | None
    writers: str
    readers: str
    description: str
    once: bool = False
    required: tuple[str, ...] = ()
    """Headers that must be there."""


PARAMETERS: Mapping[str, str] = {
    "task": "The task's id: 1 to 64 letters, digits, `_` or `-`.",
    "round": "The round, counted from 0.",
    "wave": "The dispatch, counted from 0.",
    "subtask": "The subtask's id, as in the plan: 1 to 64 letters, digits, `_` or `-`.",
    "other": "The id of the other task.",
    "timer": "The timer's name.",
    "lane": "`interactive` or `batch`.",
    "kind": "The kind of worker: `plan`, `synthesize`, `code`, `docs`, or one of your own.",
    "work": "The work's id, two or three tokens: `plan.<round>`, `result.<kind>.<subtask>` or `synthesis.<round>`.",
    "delivery": "How often the queue had delivered the work, counted from 1.",
    "attempt": "The attempt in the message of the work.",
    "number": "Counted from 1 for each piece of work and attempt.",
    "replica": "One process of a worker, or of the orchestrator.",
    "model": "The model's name; `sha256-…` of it where that cannot stand in a subject.",
    "digest": "SHA-256 of the bytes, in lower-case hexadecimal.",
}
"""What each variable token of a subject stands for."""


def channels(subjects: Subjects) -> tuple[Channel, ...]:
    """Every subject of the installation that carries messages of ours."""

    def fact(name: str, pattern: str, schema: str | None, writers: str, readers: str, description: str) -> Channel:
        return Channel(name, subjects.fact("{task}", pattern), schema, writers, readers, description, once=schema is not None)

    everyone = "coordinators, clients"
    return (
        fact("submitted", "submitted", "submitted", "clients", everyone, "A task: publish this to have a question answered."),
        fact("plan", "plan.{round}", "plan", "planners, coordinators", everyone, "The subtasks of a round, and why."),
        fact("dispatched", "dispatched.{wave}", "dispatched", "coordinators", everyone, "Work that is in its queues."),
        fact(
            "returned",
            "returned.{work}.{delivery}",
            "returned",
            "workers",
            "workers",
            "No attempt: it was handed back.",
        ),
        fact(
            "begun",
            "begun.{work}.{delivery}",
            "begun",
            "workers",
            everyone,
            "An attempt that is not over at once.",
        ),
        fact(
            "spent",
            "spent.{work}.{delivery}",
            "spent",
            "workers",
            everyone,
            "What an attempt took that brought no result.",
        ),
        fact(
            "result",
            "result.{kind}.{subtask}",
            "result",
            "workers, coordinators",
            everyone,
            "What a subtask yielded: the first attempt to end, or that its time was up.",
        ),
        fact("synthesis", "synthesis.{round}", "synthesis", "synthesizers", everyone, "The report of a round."),
        fact("again", "again.{other}", "again", "clients", "clients", "Another task runs again what failed in this one."),
        fact("cancel", "cancel", "cancel", "clients", everyone, "The caller wants the task to end now."),
        fact("finish", "finish", "finish", "clients", everyone, "The caller wants the report now, on what there is."),
        fact("timer", "timer.{timer}", None, "coordinators", "the server", "A message schedule: fires on `due.{timer}`."),
        fact("due", "due.{timer}", None, "the server", "coordinators", "A timer has fired."),
        fact(
            "overdue",
            "overdue.{timer}",
            None,
            "coordinators",
            "coordinators",
            "A timer should have fired: `due` is late.",
        ),
        fact("outcome", "outcome", "outcome", "coordinators", "clients", "How the task ended, with its report."),
        fact("halted", "halted", "halted", "coordinators", "workers", "The task has ended, and work of it has not."),
        Channel(
            name="work",
            address=subjects.work("{lane}", "{kind}"),
            schema="work",
            writers="coordinators",
            readers="workers",
            description="One attempt at one piece of work. A work queue: each message goes to one worker, until acknowledged. "
            "One that is full takes no more: the server's error is 10077 then.",
            required=(Header.MESSAGE_ID,),
        ),
        Channel(
            name="progress",
            address=subjects.progress("{task}", "{work}"),
            schema="progress",
            writers="workers",
            readers="clients",
            description="What a piece of work is doing now. Not stored.",
        ),
        Channel(
            name="signal",
            address=subjects.signal("{task}"),
            schema="signal",
            writers="coordinators",
            readers="workers",
            description="Running work of the task is of no use any more. Not stored.",
        ),
        Channel(
            name="superseded",
            address=subjects.signal("{task}", "{work}"),
            schema="signal",
            writers="coordinators, workers",
            readers="workers",
            description="Attempts at this piece of work are of no use any more: another has brought its result, or "
            "(`delivery`) a later delivery goes on with it. Not stored.",
        ),
        Channel(
            name="checkpoint",
            address=subjects.checkpoint("{task}", "{work}", "{attempt}", "{number}"),
            schema="checkpoint",
            writers="workers",
            readers="workers of that kind",
            description=f"The next steps of a conversation with a model: the stream `{subjects.checkpoints_stream}`. Kept "
            "until the work is of no use any more.",
            once=True,
        ),
        Channel(
            name="finishing",
            address=subjects.finish_signal("{task}"),
            schema="signal",
            writers="coordinators",
            readers="workers",
            description="Whoever works on a subtask of the task is to write up what there is. Not stored.",
        ),
        Channel(
            name="present",
            address=subjects.coordinator("here"),
            schema="present",
            writers="coordinators",
            readers="coordinators",
            description="A coordinator is there, whom others may hand tasks to. Not stored.",
        ),
        Channel(
            name="look",
            address=subjects.coordinator("look", "{replica}"),
            schema="look",
            writers="coordinators",
            readers="coordinators",
            description="There are new facts of a task that is this coordinator's. Not stored.",
        ),
        Channel(
            name="looked",
            address=subjects.coordinator("looked", "{replica}"),
            schema="looked",
            writers="coordinators",
            readers="coordinators",
            description="What follows from them is done. Not stored.",
        ),
        Channel(
            name="announcement",
            address=f"$KV.{subjects.workers_bucket}.{{kind}}.{{replica}}",
            schema="announcement",
            writers="workers",
            readers="planners, clients",
            description=f"Who can do what: the bucket `{subjects.workers_bucket}`. Expires unless renewed.",
        ),
        Channel(
            name="ledger",
            address=f"$KV.{subjects.budget_bucket}.{{task}}",
            schema="ledger",
            writers="workers",
            readers="workers",
            description=f"What a task with a budget has spent: the bucket `{subjects.budget_bucket}`. By compare-and-set.",
        ),
        Channel(
            name="rates",
            address=f"$KV.{subjects.rates_bucket}.{{model}}",
            schema="rates",
            writers="workers",
            readers="workers",
            description=f"What the provider of a model allows: the bucket `{subjects.rates_bucket}`. By compare-and-set.",
        ),
    )


def json_schema() -> Json:
    """JSON Schema (2020-12) of every message, and of what ``--json`` prints: ``TaskView``, and for ``trace`` ``Timeline``."""
    refs, definitions = _components((*TYPES.values(), TaskView, Timeline), "#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "title": "Concertino",
        "description": (
            f"Every message on the bus, version {VERSION}, and what `--json` prints: `TaskView`, and for `trace` `Timeline`. "
            "Times are Unix seconds, durations seconds, sizes bytes, costs US dollars. Readers ignore fields they do not know."
        ),
        "anyOf": refs[:-2],
        "$defs": definitions,
    }


def asyncapi(subjects: Subjects, version: str, server: str = "127.0.0.1:4222") -> Json:
    """AsyncAPI 3.0 of an installation, as seen by its services: they receive what clients write and send what clients read.

    ``version`` is that of the release, ``server`` a host and port.
    """
    table = channels(subjects)
    _, definitions = _components(TYPES.values(), "#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Concertino",
            "version": version,
            "description": (
                "The orchestrator-worker pattern on NATS JetStream. A task is a log of facts, each written once; publish "
                "`submitted` (to JetStream) and read `outcome`. Payloads are JSON; what is larger than fits a message is a "
                f"blob on `{subjects.blob('<owner>', '<sha256>')}` and travels by its digest in the header `{Header.BLOB}`."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"bus": {"host": server, "protocol": "nats", "description": "NATS 2.12 or newer with JetStream."}},
        "channels": {channel.name: _channel(channel) for channel in table},
        "operations": dict(_operation(channel, action) for channel in table for action in ("send", "receive")),
        "components": {
            "messages": {channel.name: _message(channel) for channel in table},
            "parameters": {name: {"description": text} for name, text in PARAMETERS.items()},
            "schemas": {name: _draft_07(schema) for name, schema in definitions.items()},
        },
    }


def _components(types: Iterable[Any], template: str) -> tuple[list[Json], Json]:
    refs, definitions = msgspec.json.schema_components(types, ref_template=template)
    return list(refs), dict(definitions)


def _channel(channel: Channel) -> Json:
    tokens = [name for name in PARAMETERS if f"{{{name}}}" in channel.address]
    return {
        "address": channel.address,
        "title": channel.name,
        "description": f"{channel.description} {ONCE}" if channel.once else channel.description,
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
        **({"parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in tokens}} if tokens else {}),
    }


def _operation(channel: Channel, action: str) -> tuple[str, Json]:
    who = channel.writers if action == "send" else channel.readers
    return f"{action}_{channel.name}", {
        "action": action,
        "summary": f"{action.capitalize()}: {who}.",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{channel.name}"}],
    }


def _message(channel: Channel) -> Json:
    if channel.schema is None:
        return {"name": channel.name, "title": channel.name, "summary": channel.description}
    type_ = TYPES[channel.schema]
    return {
        "name": channel.schema,
        "title": type_.__name__,
        "summary": channel.description,
        "contentType": "application/json",
        "headers": _headers(channel),
        "payload": {"$ref": f"#/components/schemas/{type_.__name__}"},
    }


def _headers(channel: Channel) -> Json:
    properties: Json = {
        Header.SCHEMA: {
            "type": "string",
            "const": f"{channel.schema}/{VERSION}",
            "description": "Type and version of the payload. May be left out.",
        },
        Header.BLOB: {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": f"The payload is the blob of this SHA-256. No message is larger than {MAX_MESSAGE} bytes.",
        },
    }
    if channel.name not in ("progress", "signal", "superseded", "finishing", "present", "look", "looked"):
        properties[Header.TRACEPARENT] = {"type": "string", "description": "The W3C trace context. The task goes on in it."}
        properties[Header.TRACESTATE] = {"type": "string", "description": "What tracing systems add to it."}
    if channel.once:
        properties[Header.EXPECTED_LAST_SUBJECT_SEQUENCE] = {
            "type": "string",
            "const": "0",
            "description": "Has the server refuse a second message on this subject. Set it: readers take the first.",
        }
    if Header.MESSAGE_ID in channel.required:
        properties[Header.MESSAGE_ID] = {
            "type": "string",
            "description": "`<task>.<work id>.<attempt>`: repetitions are dropped.",
        }
    return {"type": "object", "properties": properties, **({"required": list(channel.required)} if channel.required else {})}


def _draft_07(schema: Any) -> Any:
    """``schema`` in the dialect of AsyncAPI, draft 07, where a tuple's types stand in ``items``."""
    if isinstance(schema, list):
        return [_draft_07(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    older = {key: _draft_07(value) for key, value in schema.items()}
    if "prefixItems" in older:
        older["items"] = older.pop("prefixItems")
        older["additionalItems"] = False
    return older
