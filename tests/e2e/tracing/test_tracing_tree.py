"""One trace for each task, whoever has a part in it: spans taken by the real protocol from the real services as processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracing_stage import Installation

from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.messages import Result
from concertino.contracts.trace import Trace
from concertino.telemetry import tracing
from concertino.testing import MessagesApi, Tool
from kit import script
from kit.otlp import Collector, Span
from kit.waiting import until

pytestmark = [pytest.mark.nats, pytest.mark.processes]

QUOTE = "The relay waits 30 seconds before each hush-retry."
SEND_TASK = "send {prefix}.task.{{task}}.submitted"


def scripted(api: MessagesApi) -> None:
    """Two researches side by side, each with two tools; a third that depends on both and fails once; then the report."""
    api.on(
        script.of("plan"),
        every=script.split(
            script.brief("wait", "docs", "How long it waits", sources="1"),
            script.brief("where", "docs", "Where that is said", sources="1"),
            script.brief("shake", "shaky", "fail once", depends_on=["wait", "where"]),
        ),
    )
    api.on(
        script.of("research"),
        every=script.works(
            Tool("search", query="hush-retry"),
            Tool("read", source="nothing.md"),
            then=script.findings(script.claim("It is 30 seconds.", ("retries.md", QUOTE))),
        ),
    )
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


class Tree:
    """The spans of one trace, each at its place."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = spans
        self._by_id = {span.id: span for span in spans}

    def under(self, span: Span) -> list[Span]:
        """Its children, by their beginning."""
        return [child for child in self.spans if child.parent == span.id]

    def child(self, span: Span, name: str, **attributes: object) -> Span:
        """The only one of that name under ``span``, with these values of ``concertino.*`` attributes."""
        [found] = [
            child
            for child in self.under(span)
            if child.name == name and all(child.attributes.get(f"concertino.{k}") == v for k, v in attributes.items())
        ]
        return found

    @property
    def root(self) -> Span:
        [root] = [span for span in self.spans if span.parent not in self._by_id]
        return root


@pytest.mark.timeout(180)
async def test_a_task_is_one_tree_from_the_callers_span_to_its_outcome(
    installation: Installation, spans: Collector, client: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "retries.md").write_text(f"# Retries\n\n{QUOTE}\n")
    prefix = installation.config.prefix
    async with MessagesApi() as api:
        scripted(api)
        await installation.start(
            "orchestrator",
            "synthesizer",
            "docs",
            "shaky",
            **api.environment(),
            CTN_MODEL="anthropic",
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
        task, status = await installation.caller(None, str(folder))
        assert status == "answered", await client.show(task)
        assert not api.unexpected
        assert not any("traceparent" in asked.headers for asked in api.asked)
    installation.stop()  # what is left is sent on the way out
    tree = Tree(spans.spans())

    # Everything is one trace, and nothing hangs in the air.
    assert len({span.trace for span in tree.spans}) == 1
    checkout = tree.root
    assert (checkout.name, checkout.service) == ("checkout", "shop")
    assert all(span.attributes.get("gen_ai.conversation.id") == task for span in tree.spans if span is not checkout)

    # The caller: asks, submits.
    asked = tree.child(checkout, "invoke_workflow concertino", outcome="answered")
    submitted = tree.child(asked, f"send {prefix}.task.{{task}}.submitted")
    assert (submitted.service, submitted.kind) == ("shop", "producer")

    # The coordinator: four waves and an outcome, all of them part of what was submitted.
    send = f"send {prefix}.work.{{lane}}.{{kind}}"
    waves = [span for span in tree.under(submitted) if span.name == send]
    assert [span.attributes["concertino.wave"] for span in waves] == [1, 2, 3, 4]
    assert [span.attributes["messaging.batch.message_count"] for span in waves] == [1, 2, 1, 1]
    assert {(span.service, span.kind) for span in waves} == {("concertino-orchestrator", "producer")}
    outcome = tree.child(submitted, f"send {prefix}.task.{{task}}.outcome", outcome="answered")
    assert len(tree.under(submitted)) == 5

    # Planning: an attempt, an agent in it, a call of the model in that.
    [planning] = tree.under(waves[0])
    assert (planning.name, planning.kind) == (f"process {prefix}.work.interactive.plan", "consumer")
    agent = tree.child(planning, "invoke_agent plan", status="complete")
    [call] = tree.under(agent)
    assert call.name == "anthropic.messages.create"
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.usage.output_tokens"] == agent.attributes["gen_ai.usage.output_tokens"] > 0

    # Two researches side by side, each with its calls and its tools, of which one fails.
    researches = tree.under(waves[1])
    assert {span.name for span in researches} == {f"process {prefix}.work.interactive.docs"}
    assert {span.attributes["concertino.work"] for span in researches} == {"result.docs.wait", "result.docs.where"}
    for research in researches:
        assert research.attributes["concertino.attempt"] == 1
        assert research.attributes["messaging.consumer.group.name"] == "interactive-docs"
        assert research.attributes["messaging.message.id"] == f"{task}.{research.attributes['concertino.work']}.1"
        [agent] = tree.under(research)
        inside = tree.under(agent)
        assert sorted(span.name for span in inside) == [
            "anthropic.messages.create",
            "anthropic.messages.create",
            "execute_tool read",
            "execute_tool search",
        ]
        assert all(agent.begin <= span.begin <= span.end <= agent.end for span in inside)
        assert {span.name: span.error for span in inside if span.name.startswith("execute")} == {
            "execute_tool read": "invalid",
            "execute_tool search": "",
        }
        calls = [span for span in inside if span.name.startswith("anthropic")]
        assert agent.attributes["gen_ai.usage.input_tokens"] == sum(c.attributes["gen_ai.usage.input_tokens"] for c in calls)
        assert agent.attributes["concertino.cost_usd"] > 0

    # What depended on them came after both, failed, and was tried again beside the first attempt.
    first, second = tree.under(waves[2])
    assert waves[2].begin >= max(span.begin for span in researches)
    assert (first.attributes["concertino.attempt"], first.error) == (1, "transient")
    assert first.events["tried again"]["concertino.delay"] > 0
    assert (second.attributes["concertino.attempt"], second.error) == (2, "")
    assert second.attributes["concertino.before"] == "tried_again"
    assert second.links == (first.id,)
    assert [span.error for attempt in (first, second) for span in tree.under(attempt)] == ["transient", ""]

    # The report; and what is an error is so of its own.
    [writing] = tree.under(waves[3])
    said = {planning.service, writing.service, *(research.service for research in researches)}
    assert said == {"concertino-orchestrator", "concertino-synthesizer", "concertino-docs"}
    assert {span.name for span in tree.under(tree.child(writing, "invoke_agent synthesize"))} == {"anthropic.messages.create"}
    assert outcome.begin >= writing.begin
    failed = sorted((span.name, span.error) for span in tree.spans if span.error)
    assert failed == [
        ("execute_tool read", "invalid"),
        ("execute_tool read", "invalid"),
        ("invoke_agent shaky", "transient"),
        (f"process {prefix}.work.interactive.shaky", "transient"),
    ]

    # Nothing of what was asked, read or said is in a span or a line of the log.
    assert "hush" not in spans.raw()
    lines = [line for name in installation.processes for line in installation.log(name)]
    assert "hush-re" not in str(lines)

    # The log of the task names the trace, and lines of the services' logs name both.
    state = await client.state(task)
    assert state.trace.trace_id == checkout.trace
    [again] = [line for line in installation.log("shaky") if line["event"] == "trying again"]
    about = {"task": task, "work": "result.shaky.shake", "subtask": "shake", "attempt": 1, "service": "shaky"}
    assert {key: again[key] for key in about} == about
    assert (again["trace_id"], again["span_id"]) == (checkout.trace, first.id)
    foreign = [line for line in installation.log("shaky") if line["event"] == "a library's warning"]
    assert [(line["task"], line["attempt"], line["logger"]) for line in foreign] == [(task, 1, "library"), (task, 2, "library")]
    assert [line["span_id"] for line in foreign] == [tree.under(first)[0].id, tree.under(second)[0].id]


def plan(*subtasks: Subtask) -> Plan:
    return Plan(subtasks=subtasks, synthesize=False)


async def test_a_killed_attempt_is_linked_by_what_it_left_in_the_log(
    installation: Installation, spans: Collector, client: Client, tmp_path: Path
) -> None:
    await installation.start("orchestrator", "shaky")
    mark = tmp_path / "died"
    dies = Subtask(id="s1", kind="shaky", objective="die once", params={"mark": str(mark)})
    task = await client.submit("die", plan=plan(dies), limits=Limits(deadline=60))
    await until(mark.exists, "the worker dies")
    installation.processes["shaky"].wait(60)
    del installation.processes["shaky"]
    await installation.start("shaky")
    assert (await client.wait(task, 60)).status == "answered"
    name = f"process {installation.config.prefix}.work.interactive.shaky"
    await until(lambda: bool(spans.named(name)) and len(spans.spans()) >= 4, "the second attempt's span")
    [second] = spans.named(name)
    [begun] = [fact for fact in await client.facts(task) if fact.name.type == "begun" and fact.name.about.endswith(".1")]
    assert second.attributes["concertino.before"] == "lost"
    assert second.attributes["concertino.attempt"] == 2
    assert second.links == (begun.trace.span_id,)
    assert second.trace == begun.trace.trace_id
    assert not any(span.error for span in spans.spans())


async def test_tools_cancellation_and_failures_say_what_they_are(
    installation: Installation, spans: Collector, client: Client, tmp_path: Path
) -> None:
    await installation.start("orchestrator", "shaky")
    mark = tmp_path / "late-has-begun"
    task = await client.submit(
        "three",
        plan=plan(
            Subtask(id="tools", kind="shaky", objective="use tools"),
            Subtask(id="fails", kind="shaky", objective="fail"),
            Subtask(id="late", kind="shaky", objective="take a while", params={"mark": str(mark)}),
            Subtask(id="long", kind="shaky", objective="take long"),
        ),
    )
    await until(mark.exists, "the one that will be late is at work")
    first = Trace("00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    bus = await JetStream.connect(installation.config.nats_url, "faster", installation.config.subjects)
    log = TaskLog(bus, installation.config.subjects)
    with tracing.carrying(first):
        assert await log.write(task, "result.shaky.late", Result(worker="faster"))
    mark.unlink()
    await bus.close()

    async def done() -> bool:
        return len((await client.state(task)).results) == 3

    process = f"process {installation.config.prefix}.work.interactive.shaky"
    await until(done)
    await until(lambda: len(spans.named(process)) == 3)
    assert (await installation.run("-m", "concertino.cli", "cancel", task))[0] == 0
    assert (await client.wait(task, 60)).status == "cancelled"
    await until(lambda: len(spans.named(process)) == 4)
    by_work = {span.attributes["concertino.work"]: span for span in spans.named(process)}
    assert (by_work["result.shaky.fails"].error, by_work["result.shaky.tools"].error) == ("source", "")
    [failed] = [line for line in installation.log("shaky") if line["event"] == "failed for good"]
    told = {"level": "warning", "task": task, "work": "result.shaky.fails", "subtask": "fails", "attempt": 1, "code": "source"}
    assert told.items() <= failed.items()
    assert (by_work["result.shaky.long"].error, list(by_work["result.shaky.long"].events)) == ("", ["the task ended"])
    late = by_work["result.shaky.late"]
    assert (late.error, list(late.events), late.links) == ("", ["another attempt was first"], (first.span_id,))
    tools = [span for span in spans.spans() if span.name.startswith("execute_tool")]
    # A name that somebody made up is no name of a span.
    assert [(span.name, span.error) for span in tools] == [
        ("execute_tool look", ""),
        ("execute_tool break_", "source"),
        ("execute_tool", "invalid"),
    ]
    sent = f"send {installation.config.prefix}.task.{{task}}.outcome"
    await until(lambda: bool(spans.named(sent)))
    [outcome] = spans.named(sent)
    assert (outcome.attributes["concertino.outcome"], outcome.error) == ("cancelled", "")
    # Its client traces nothing, so the trace begins with what the coordinator did first, and is one all the same.
    assert len({span.trace for span in spans.spans()}) == 1
    assert (await client.state(task)).trace.trace_id == outcome.trace
    [cancel] = [span for span in spans.spans() if span.name.endswith(".cancel")]
    assert (cancel.service, cancel.parent) == ("concertino-cli", outcome.parent)
    assert (await installation.run("-m", "concertino.cli", "plan", "Say hush", "--docs", "."))[0] == 4
    [asked] = spans.named("invoke_workflow concertino")
    assert (asked.service, asked.parent, asked.error) == ("concertino-cli", "", "failed")  # nobody here reads documents
    await until(lambda: any(span.trace == asked.trace and span.name.startswith("process") for span in spans.spans()))
    assert "hush" not in spans.raw()


async def test_a_worker_that_leaves_hands_its_span_on(installation: Installation, spans: Collector, client: Client) -> None:
    await installation.start("orchestrator", "shaky", CTN_GRACE="0")
    task = await client.submit("long", plan=plan(Subtask(id="s1", kind="shaky", objective="take long")))

    async def runs() -> bool:
        return any(fact.name.type == "begun" for fact in await client.facts(task))

    await until(runs)
    leaving = installation.processes.pop("shaky")
    leaving.terminate()
    assert leaving.wait(60) == 0
    await installation.start("shaky")

    async def runs_again() -> bool:
        return sum(fact.name.type == "begun" for fact in await client.facts(task)) == 2

    await until(runs_again)
    await client.cancel(task)
    await client.wait(task, 60)
    process = f"process {installation.config.prefix}.work.interactive.shaky"
    await until(lambda: len(spans.named(process)) == 2)
    first, second = spans.named(process)
    assert (list(first.events), first.error, first.parent) == (["handed back"], "", second.parent)
    assert second.attributes["concertino.before"] == "handed_back"
    assert (second.attributes["concertino.attempt"], second.attributes["concertino.delivery"]) == (1, 2)
    assert second.links == (first.id,)
