"""Where a trace begins, and whether: decided by whoever asks, kept by everybody, and disturbed by nobody's bad header."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest
from tracing_stage import Installation

from concertino.bus.jetstream import JetStream
from concertino.client import Client, Plan, Subtask
from concertino.contracts.codec import encode, schema_of
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Submitted
from concertino.contracts.subjects import Header
from kit.otlp import Collector
from kit.waiting import until

pytestmark = [pytest.mark.nats, pytest.mark.processes]

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ECHO = Plan(subtasks=(Subtask(id="s1", kind="shaky", objective="say"),), synthesize=False)


async def submit(installation: Installation, task: str, **headers: str) -> None:
    """As somebody does who has nothing but a NATS client."""
    submitted = Submitted(request="say", plan=ECHO)
    bus = await JetStream.connect(installation.config.nats_url, "raw", installation.config.subjects)
    subject = installation.config.subjects.fact(task, "submitted")
    try:
        await bus.write_once(subject, encode(submitted), {Header.SCHEMA: schema_of(Submitted), **headers})
    finally:
        await bus.close()


async def written(client: Client, task: str) -> list[Fact]:
    """What somebody wrote, timers apart: those are the server's."""
    return [fact for fact in await client.facts(task) if fact.message is not None]


async def test_a_head_that_is_not_sampled_costs_no_span_and_its_trace_goes_on(
    installation: Installation, spans: Collector, client: Client
) -> None:
    await installation.start("orchestrator", "shaky")
    task, status = await installation.caller(ECHO, OTEL_TRACES_SAMPLER="always_off")
    assert status == "answered"
    facts = await written(client, task)
    [trace] = {fact.trace.trace_id for fact in facts}
    assert trace
    assert not any(fact.trace.flags & 1 for fact in facts)  # nobody is to record it
    installation.stop()
    assert not spans.spans()


async def test_a_share_of_traces_is_decided_where_they_begin(
    installation: Installation, spans: Collector, client: Client
) -> None:
    """Nobody asks by a trace, so it begins with the coordinator; whoever comes after keeps to what it decided."""
    await installation.start("orchestrator", OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
    await installation.start("shaky")
    assert (await client.ask("say", plan=ECHO)).status == "answered"
    installation.stop()
    assert not spans.spans()


async def test_a_header_that_is_none_counts_for_nothing(installation: Installation, spans: Collector, client: Client) -> None:
    hostile = {
        "zero": {"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"},
        "upper": {"traceparent": PARENT.upper()},
        "longer": {"traceparent": PARENT + "-more"},
        "forbidden": {"traceparent": "ff" + PARENT[2:]},
        "nonsense": {"traceparent": "'; drop table spans --" * 400},
        "empty": {"traceparent": ""},
        "alone": {"tracestate": "vendor=1"},
    }
    await installation.start("orchestrator", "shaky")
    for task, headers in hostile.items():
        await submit(installation, task, **headers)
    assert {(await client.wait(task, 60)).status for task in hostile} == {"answered"}
    installation.stop()
    for task in hostile:
        mine = [span for span in spans.spans() if span.attributes["gen_ai.conversation.id"] == task]
        [trace] = {span.trace for span in mine}
        assert len(mine) == 4, mine  # sent, processed, handled, ended
        assert (await client.state(task)).trace.trace_id == trace != PARENT[3:35]


async def test_off_nothing_is_loaded_and_a_callers_trace_is_carried_on(
    installation: Installation, spans: Collector, client: Client
) -> None:
    await installation.start("orchestrator", "shaky", OTEL_EXPORTER_OTLP_ENDPOINT="")
    await submit(installation, "t1", traceparent=PARENT, tracestate="vendor=1")
    seen = await client.wait("t1", 60)
    assert [finding.claim for subtask in seen.subtasks for finding in subtask.findings] == ["nothing"]  # of OpenTelemetry
    facts = await written(client, "t1")
    assert {(fact.trace.parent, fact.trace.state) for fact in facts} == {(PARENT, "vendor=1")}
    [line] = [line for line in installation.log("shaky") if line["event"] == "a library's warning"]
    assert (line["task"], line["trace_id"], line["span_id"]) == ("t1", PARENT[3:35], PARENT[36:52])
    assert not spans.requests


async def test_a_collector_that_hangs_or_is_away_costs_nobody_time(
    installation: Installation, client: Client, unused_tcp_port: int
) -> None:
    with socket.socket() as silent:  # takes connections, and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        await installation.start("orchestrator", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
        away = f"http://127.0.0.1:{unused_tcp_port}"
        await installation.start("shaky", OTEL_EXPORTER_OTLP_ENDPOINT=away)
        for _ in range(20):
            assert (await asyncio.wait_for(client.ask("say", plan=ECHO), 10)).status == "answered"
        await until(
            lambda: any("export" in line["event"] for line in installation.log("shaky")), "the log says that it is away"
        )
        began = time.monotonic()
        for process in installation.processes.values():
            process.terminate()
        assert [await asyncio.to_thread(process.wait, 30) for process in installation.processes.values()] == [0, 0]
        assert time.monotonic() - began < 20  # of which the last flush may take 5


async def test_who_cannot_send_says_so_and_does_not_start(installation: Installation) -> None:
    hidden = "sys.modules['opentelemetry.exporter'] = None; runpy.run_module('concertino.docs', run_name='__main__')"
    for arguments, env, said in (
        (["-c", f"import runpy, sys; {hidden}"], {}, 'pip install "concertino[otel]"'),
        (["-m", "concertino.docs"], {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "http://collector:4318"),
        (["-m", "concertino.docs"], {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        (["-m", "concertino.docs"], {"OTEL_TRACES_SAMPLER": "sometimes"}, "parentbased_traceidratio"),
    ):
        code, error = await installation.run(*arguments, **env)
        assert (code, said in json.loads(error)["error"], error.count("\n")) == (2, True, 1), error
