"""One task, from the request to the report, through everybody: every word between Concertino and the model is asserted."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from material import AT_DESK, IN_HANDBOOK, IN_SOURCE, ON_SITE, PORT, Material

from concertino.client import Client, Limits
from concertino.contracts.view import TaskView, UsageView
from concertino.testing import Asked, Message, MessagesApi, Tool, UseTools
from kit import script
from kit.waiting import PATIENCE

pytestmark = pytest.mark.nats

REQUEST = "How long does the relay wait before a retry, on which port does it listen, and were customers told so?"
PAGES, HANDBOOK, SOURCE = "What the release notes say", "What the handbook says", "What the source does"
DESK, WHERE = "What customers were told", "On which port the relay listens"
NO_PORT = "on which port the relay listens"
NO_TOLD = "whether customers were told of the change"


async def test_everybody_works_on_one_task(api: MessagesApi, client: Client, material: Material) -> None:
    scripted(api, material)
    view = await client.ask(REQUEST, sources=material.sources, limits=Limits(deadline=240))
    assert not api.unexpected
    assert not api.rejected
    assert not api.left
    answered(view, material)
    in_order(api)
    sent(api, material)
    named(view)
    metered(view, api)


def scripted(api: MessagesApi, material: Material) -> None:
    """Two rounds: the first leaves a gap that a second can close, and one that nobody can."""
    api.on(
        script.of("plan"),
        script.split(
            script.brief("pages", "web", PAGES, sources="3"),
            script.brief("handbook", "docs", HANDBOOK, sources="1", boundaries="The source is read by somebody else."),
            script.brief("source", "code", SOURCE, sources="2"),
            script.brief(
                "desk",
                "general",
                DESK,
                depends_on=["handbook"],
                role="a support analyst",
                instructions="Look for tickets about what the handbook says.",
                tools=["tickets_search_tickets"],
            ),
        ),
        script.split(script.brief("where", "docs", WHERE, sources="1", starting_points=["ports.md"]), question="simple"),
    )
    together = asyncio.Barrier(3)

    def begins(*tools: Tool) -> object:
        async def reply(_: Asked) -> Message:
            async with asyncio.timeout(PATIENCE):
                await together.wait()  # nobody gets on until all three are at work
            return UseTools(*tools)

        return reply

    api.on(
        script.researching(PAGES),
        begins(Tool("fetch", url=material.notes)),
        script.findings(script.claim("It is 5 seconds since 2.0.", (material.notes, ON_SITE))),
    )
    api.on(
        script.researching(SOURCE),
        begins(Tool("grep", pattern="RETRY"), Tool("read", path="relay.py")),
        script.findings(script.claim("It is 5 seconds.", ("relay.py", IN_SOURCE))),
    )
    api.on(
        script.researching(DESK),
        UseTools(Tool("tickets_search_tickets", query="30 seconds")),
        script.findings(
            script.claim("They were told 30 seconds.", ("mcp:tickets/search_tickets", AT_DESK), quality=0.5), gaps=[NO_TOLD]
        ),
    )
    api.on(
        script.researching(HANDBOOK),
        begins(Tool("search", query="retry")),
        script.findings(script.claim("It is 30 seconds.", ("retries.md", IN_HANDBOOK))),
    )
    api.on(
        script.researching(WHERE),
        UseTools(Tool("read", source="ports.md")),
        script.findings(script.claim("It is 7422.", ("ports.md", PORT))),
    )
    disagree = (
        "How long the relay waits",
        [("30 seconds", IN_HANDBOOK), ("5 seconds", IN_SOURCE)],
        "It waits 5 seconds.",
        "what runs counts over what is written about it",
    )
    api.on(
        script.of("weigh"),
        lambda asked: script.weighed(asked, conflicts=[disagree], gaps=[NO_PORT, NO_TOLD], open_=[NO_PORT]),
        lambda asked: script.weighed(asked, conflicts=[disagree], gaps=[NO_TOLD]),
    )
    api.on(script.of("write"), script.written, script.written)


def answered(view: TaskView, material: Material) -> None:
    """Each of the four and the tool server is cited, the conflict is decided, and the gap that is left is named."""
    assert (view.status, view.reason) == ("answered", "5 subtasks done")
    assert view.report is not None
    assert {citation.source: citation.quote for citation in view.report.citations} == {
        material.notes: ON_SITE,
        "retries.md": IN_HANDBOOK,
        "ports.md": PORT,
        "relay.py": IN_SOURCE,
        "mcp:tickets/search_tickets": AT_DESK,
    }
    assert all(f"[{citation.id}]" in view.report.text for citation in view.report.citations)
    [conflict] = view.report.conflicts
    assert (conflict.resolution, len(conflict.positions)) == ("It waits 5 seconds.", 2)
    assert all(position.citations for position in conflict.positions)
    assert view.report.gaps == (NO_TOLD,)
    assert [tuple(s.id for s in round_.subtasks) for round_ in view.plan.rounds] == [
        ("pages", "handbook", "source", "desk"),
        ("where",),
    ]
    assert all(subtask.status == "complete" for subtask in view.subtasks), view.subtasks
    assert material.asked == [("search_tickets", {"query": "30 seconds"})]


def in_order(api: MessagesApi) -> None:
    """How often each role asked, and of which model; that three began together was in the script."""
    strong, works, small = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"
    assert Counter((script.role(asked), asked.model) for asked in api.asked) == {
        ("plan", strong): 2,
        ("research", works): 8,
        ("research", small): 2,
        ("weigh", strong): 2,
        ("write", strong): 2,
    }
    roles = [script.role(asked) for asked in api.asked]
    assert roles[0] == "plan"
    second = roles.index("plan", 1)
    assert roles[second - 2 : second] == ["weigh", "write"]
    assert roles[second + 1 :] == ["research", "research", "weigh", "write"]


def sent(api: MessagesApi, material: Material) -> None:
    """Who was told what, and could do what."""
    first, second = (asked for asked in api.asked if script.role(asked) == "plan")
    assert first.says(REQUEST)
    assert first.says("tickets_search_tickets")
    assert not first.says("close_ticket")
    assert second.says(NO_PORT)
    assert second.says("It is 30 seconds.")

    def of(text: str) -> list[Asked]:
        return [asked for asked in api.asked if script.researching(text)(asked)]

    pages, handbook, source, desk, where = map(of, (PAGES, HANDBOOK, SOURCE, DESK, WHERE))
    assert [asked.effort for asked in pages] == ["low", "low"]
    assert not {"read", "grep", "list_files", "list_documents"} & {tool for asked in pages for tool in asked.tools}
    assert not {"fetch", "web_search"} & {tool for asked in (*source, *handbook, *desk) for tool in asked.tools}
    assert desk[0].tools == ("tickets_search_tickets",)
    assert desk[0].says("a support analyst")
    assert desk[0].says("It is 30 seconds.")
    assert handbook[0].says("The source is read by somebody else.")
    for mine, others in ((pages, [SOURCE, HANDBOOK]), (source, [PAGES, HANDBOOK]), (where, [PAGES, SOURCE])):
        assert not any(asked.says(other) for asked in mine for other in others)
    assert not any(asked.says(IN_SOURCE) or asked.says(IN_HANDBOOK) for asked in pages)
    assert ON_SITE in pages[-1].results[0]
    assert [IN_SOURCE in result for result in source[-1].results] == [True, True]
    assert AT_DESK in desk[-1].results[0]
    assert not any(asked.errors for asked in api.asked)
    assert {path for path, _ in material.site.seen} == {"/robots.txt", "/notes"}


def named(view: TaskView) -> None:
    """Results say which model thought, and by which prompts."""
    for round_ in view.plan.rounds:
        assert round_.planning is not None
        assert round_.writing is not None
        assert round_.planning.prompt.startswith("plan-")
        assert [prompt.partition("-")[0] for prompt in round_.writing.prompt.split()] == ["weigh", "write"]
        assert round_.planning.model == round_.writing.model == "claude-opus-5-5"
    prompts = {s.id: [prompt.partition("-")[0] for prompt in s.prompt.split()] for s in view.subtasks}
    assert {id_: found[0] for id_, found in prompts.items()} == dict.fromkeys(prompts, "research")
    assert {id_: found[1] for id_, found in prompts.items()} == {
        "pages": "web",
        "handbook": "docs",
        "source": "code",
        "desk": "general",
        "where": "docs",
    }
    assert {s.model for s in view.subtasks if s.kind == "web"} == {"claude-haiku-5-5"}


def metered(view: TaskView, api: MessagesApi) -> None:
    """What was spent is what the API counted: by piece of work, kind and model, and in sum."""
    counted: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for asked, message in api.answers:
        counted[asked.model] += 1
        tokens[asked.model] += message["usage"]["output_tokens"]
    assert {model: usage.model_calls for model, usage in view.by_model.items()} == counted
    assert {model: usage.output_tokens for model, usage in view.by_model.items()} == tokens
    assert {kind: usage.model_calls for kind, usage in view.by_kind.items()} == {
        "plan": 2,
        "web": 2,
        "docs": 4,
        "code": 2,
        "general": 2,
        "synthesize": 4,
    }
    read = sum(message["usage"]["cache_read_input_tokens"] for _, message in api.answers)
    assert view.usage.cache_read_tokens == read > 0
    works = [work.usage for r in view.plan.rounds for work in (r.planning, r.writing) if work]
    parts = [*works, *(subtask.usage for subtask in view.subtasks)]
    for name in UsageView.__struct_fields__:
        total = getattr(view.usage, name)
        assert sum(getattr(part, name) for part in parts) == pytest.approx(total)
        assert sum(getattr(part, name) for part in view.by_kind.values()) == pytest.approx(total)
        assert sum(getattr(part, name) for part in view.by_model.values()) == pytest.approx(total)
    assert view.usage.cost_usd > 0
    assert view.usage.unpriced_calls == 0
    opus = view.by_model["claude-opus-5-5"]
    assert opus.cost_usd == pytest.approx(
        (opus.input_tokens * 4 + opus.output_tokens * 20 + opus.cache_write_tokens * 5 + opus.cache_read_tokens * 0.2) / 1e6
    )
