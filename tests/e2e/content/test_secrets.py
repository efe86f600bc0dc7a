"""Secrets lie in all that is read. They reach no store, no log, no span, no model and no report, whoever repeats them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS, WEB, own_workers
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Progress
from concertino.masking import MARK
from concertino.masking.known import forget
from concertino.runtime.settings import settings
from concertino.testing import Asked, Message, MessagesApi, Tool, UseTools
from kit import planted, script
from kit.otlp import Collector, collector
from kit.site import Site, running
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

CLERK = Path(__file__).with_name("clerk.py")
OWN = "kettle-drum-7"
"""A password of the services themselves, which somebody has written into a document, too."""
SAID = "ghp_" + "Zx9Kq8Wm5Yt7Lx4Vn3Bc1Pd6Hs2Jf0GaRe5U"
"""What a model says of itself. Its own turns are sent again, and kept for whoever goes on, as it said them."""
OURS = "tambourine/39"
"""A key that is in the environment alone."""
CODE, DOCS, PAGE = "Read the relay", "Read the handbook", "Read the page"


@pytest.fixture
def spans() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture
def site() -> Iterator[Site]:
    with running(Site()) as site:
        page = "".join(f"<p>{line}</p>" for line in planted.PAGE.split("\n"))
        page = f"<html><head><title>Retries</title></head><body><article>{page}</article></body></html>"
        site.pages["/page"] = (200, {"Content-Type": "text/html; charset=utf-8"}, page.encode())
        yield site


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MessagesApi]:
    async with MessagesApi() as api:
        for name, value in api.environment().items():
            monkeypatch.setenv(name, value)
        yield api


@pytest.fixture
def sources(tmp_path: Path, site: Site) -> list[Source]:
    for name, text in {
        "relay/relay.py": planted.CODE,
        "relay/relay.ini": planted.SETTINGS,
        "relay/server.key": planted.KEY,
        "handbook/retries.md": f"{planted.PAGE}\nThe services connect with {OWN}, and search with {OURS}.\n",
        "handbook/logins.csv": f"user,password\nrelay,{planted.SECRETS['password']}\n",
        "handbook/settings.md": planted.SETTINGS.replace("[relay]", "# How the relay waits before each retry\n"),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return [
        Source(kind="code", location=str(tmp_path / "relay")),
        Source(kind="docs", location=str(tmp_path / "handbook")),
        Source(kind="web", location=site.url("/page")),
    ]


async def test_what_is_secret_in_sources_is_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: MessagesApi, spans: Collector, sources: list[Source]
) -> None:
    for name, value in {
        "CTN_CACHE": str(tmp_path / "cache"),
        "CTN_MODEL": "anthropic",
        "CTN_ALLOW_NETWORKS": "127.0.0.0/8",
        "CTN_LOG_FORMAT": "json",
        "CTN_LOG_LEVEL": "debug",
        "CTN_ATTEMPTS": "1",
        "CTN_NATS_TOKEN": OWN,
        "TAVILY_API_KEY": OURS,
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }.items():
        monkeypatch.setenv(name, value)
    scripted(api)
    log: list[str] = []
    fleet = Fleet(
        settings(),
        lambda name, line: log.append(f"{name} {line}"),
        store=tmp_path / "nats",
        services=(*ALWAYS, WEB, *own_workers([str(CLERK)])),
    )
    told: list[Progress] = []
    await fleet.start(strict=True)
    try:
        async with Client(fleet.url) as client:

            async def there() -> bool:
                return "clerk" in {worker.kind for worker in await client.workers()}

            await until(there, "the worker announces itself")
            task = await client.submit(
                f'Why does a retry with password = "{planted.SECRETS["password"]}" fail?',
                sources=sources,
                plan=plan(str(tmp_path / "relay" / "relay.ini")),
                limits=Limits(deadline=120, max_rounds=1),
            )
            async with client.follow(task) as events:
                async for event in events:
                    if isinstance(event, Progress):
                        told.append(event)
                    if isinstance(event, Fact) and str(event.name) == "outcome":
                        break
            forget()  # what is seen now is what came
            view = await client.show(task)
    finally:
        await fleet.stop(10.0)
    assert not api.unexpected
    shown = view.to_json().decode()
    everything = {
        "the report": shown,
        "the progress": "\n".join(f"{p.doing} {p.text}" for p in told),
        "the log": "\n".join(log),
        "the spans": spans.raw(),
        "the model": "\n".join(json.dumps(asked.whole) for asked in api.asked),
        "the store": "\n".join(f.read_bytes().decode("latin-1") for f in (tmp_path / "nats").rglob("*") if f.is_file()),
    }
    for where, text in everything.items():
        assert MARK in text, f"{where} tells of what was read"
        leaked = {sort for sort, secret in planted.SECRETS.items() if secret in text}
        leaked |= {sort for sort, secret in planted.SECRETS.items() if json.dumps(secret)[1:-1] in text}
        assert not leaked, f"in {where}: {leaked}"
        assert OWN not in text, where
        assert OURS not in text, where
        assert SAID not in text or where in ("the model", "the store"), where
    assert {s.id: s.status for s in view.subtasks} == {
        "code": "complete", "docs": "complete", "page": "complete", "own": "complete", "bad": "failed", "bug": "failed",
    }  # fmt: skip
    assert view.report is not None
    quotes = [citation.quote for citation in view.report.citations]
    assert any(quote == f"password = {MARK}" for quote in quotes), quotes
    assert any("holds what looks like" in claim for claim in claims(api)), "the secrets tool says where they are"


def plan(file: str) -> Plan:
    """One subtask for each kind, and a careless worker that succeeds, that refuses, and that breaks."""
    read = (("code", "code", CODE), ("docs", "docs", DOCS), ("page", "web", PAGE))
    own = {"own": {}, "bad": {"fails": True}, "bug": {"breaks": True}}
    return Plan(
        subtasks=(
            *(Subtask(id=id_, kind=kind, objective=objective) for id_, kind, objective in read),
            *(
                Subtask(id=id_, kind="clerk", objective=f"{id_}, please", params={"file": file, **more})
                for id_, more in own.items()
            ),
        )
    )


def scripted(api: MessagesApi) -> None:
    """A model that reads everything, and repeats all that it has read."""
    reads = {
        CODE: [
            *(Tool("read", path=path) for path in ("relay.py", "relay.ini")),
            Tool("secrets"),
            Tool("grep", pattern="(?i)password|key|token|begin"),
            Tool("grep", pattern="MII"),
            Tool("symbols", name="GITHUB"),
            Tool("search", query="retry seconds password key"),
            Tool("structural", pattern="$A = $B", language="python"),
            Tool("read", path=SAID),
        ],
        DOCS: [
            Tool("list_documents"),
            *(Tool("read", source=source) for source in ("retries.md", "settings.md", "logins.csv")),
            Tool("search", query="relay retry password token"),
        ],
        PAGE: [Tool("search", query="relay retry token")],
    }
    for text, tools in reads.items():
        api.on(script.researching(text), UseTools(*tools), repeating, every=repeating)
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)


def repeating(asked: Asked) -> Message:
    """All that was read, in claims; and one line of it, quoted."""
    lines = [line for result in asked.results for line in result.split("\n") if MARK in line]
    quoted = [("relay.ini", f"password = {MARK}")] if "password = " in str(asked.results) and asked.says(CODE) else []
    return script.findings(
        *(script.claim(f"It says {line[:400]}") for line in lines[:20]),
        script.claim(f"It may as well be {SAID}."),
        *([script.claim("It has a password.", *quoted)] if quoted else []),
    )


def claims(api: MessagesApi) -> list[str]:
    return [line for asked in api.asked for result in asked.results for line in result.split("\n")]
