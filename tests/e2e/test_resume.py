"""Who is killed, frozen or replaced in the middle of a conversation with a model costs time: no answer is paid for twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS
from concertino.client import Client, Limits, Source
from concertino.contracts.messages import Spent
from concertino.contracts.view import TaskView
from concertino.runtime.settings import settings
from concertino.testing import Asked, Message, MessagesApi, Say, Tool, UseTools
from kit import script
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

QUOTE, LINE = "the pause doubles each time", "def pause(attempt):"
HANDBOOK, SOURCE = "What the handbook says of retries", "What the source does about retries"
SERVICES = {"plan": "orchestrator", "docs": "docs", "code": "code", "weigh": "synthesizer", "write": "synthesizer"}
MOMENTS = [("plan", 1), ("docs", 1), ("docs", 2), ("code", 1), ("weigh", 1), ("write", 0)]
"""Who is asked, after so many turns, when something happens: each has said something before that must not be asked for again,
or (the report) is the last of several steps."""


class Model:
    """Everybody's model. It says each thing twice, at first with something wrong in it. One request may be held."""

    def __init__(self, api: MessagesApi) -> None:
        self._api = api
        self._moment: tuple[str, int] | None = None
        self._held, self._free = asyncio.Event(), asyncio.Event()
        self._first = 0
        api.on("", every=self._reply)

    def hold(self, moment: tuple[str, int] | None) -> None:
        """Do not answer at that moment until told to go on. What is asked is counted from now."""
        self._moment = moment
        self._held, self._free = asyncio.Event(), asyncio.Event()
        self._first = len(self._api.asked)

    async def held(self) -> None:
        await asyncio.wait_for(self._held.wait(), 60)

    def go_on(self) -> None:
        self._moment = None
        self._free.set()

    def repeated(self) -> list[tuple[str, int]]:
        """What was asked more than once, and in how many turns before."""
        requests = self._api.asked[self._first :]
        times = Counter(_asked(request) for request in requests)
        return sorted({(_who(r), _turns(r)) for r in requests if times[_asked(r)] > 1})

    @property
    def calls(self) -> int:
        return len(self._api.asked) - self._first

    async def _reply(self, asked: Asked) -> Message:
        if (_who(asked), _turns(asked)) == self._moment:
            free = self._free
            self._held.set()
            await free.wait()
        return _said(asked)


def _who(asked: Asked) -> str:
    role = script.role(asked)
    return role if role != "research" else "docs" if asked.says(HANDBOOK) else "code"


def _turns(asked: Asked) -> int:
    return sum(message["role"] == "assistant" for message in asked.whole["messages"])


def _asked(asked: Asked) -> str:
    return json.dumps(asked.whole["messages"], sort_keys=True)


def _said(asked: Asked) -> Message:
    turns = _turns(asked)
    match _who(asked):
        case "plan":
            docs = script.brief("handbook", "docs" if turns else "nobody", HANDBOOK, sources="1")
            return script.split(docs, script.brief("source", "code", SOURCE, sources="2"))
        case "weigh":
            whole = script.weighed(asked)
            wrong = [{"heading": "?", "points": [{"claim": "What?", "findings": ["none"]}]}]
            return whole if turns else Say(json={**whole.json, "sections": wrong})
        case "write":
            return script.written(asked)
        case kind:
            quote = ("retries.md", QUOTE) if kind == "docs" else ("client.py", LINE)
            if turns == 0:
                return UseTools(Tool("search", query="retry"))
            return script.findings(script.claim("It doubles.", quote if turns > 1 else (quote[0], "nothing like it")))


class Stage:
    def __init__(self, fleet: Fleet, client: Client, model: Model, handbook: Path) -> None:
        self.fleet, self.client, self.model = fleet, client, model
        self.sources = [Source(kind=kind, location=str(handbook)) for kind in ("docs", "code")]

    async def submit(self, max_tokens: int | None = 2_000_000) -> str:
        """Where tokens are limited nothing is hedged."""
        limits = Limits(deadline=120, max_tokens=max_tokens, max_rounds=1)
        return await self.client.submit("How long is the pause before a retry?", sources=self.sources, limits=limits)

    async def ended(self, task: str) -> TaskView:
        view = await self.client.wait(task, timeout=90)
        assert view.status == "answered", view.reason
        return view

    async def ready(self) -> None:
        """Everybody is at work, those who were started again too."""

        async def there() -> bool:
            found = {worker.kind for worker in await self.client.workers()}
            return found >= {"docs", "code"} and set(self.fleet.pids) >= {"orchestrator", "docs", "code", "synthesizer"}

        await until(there, "everybody is at work", 60)


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    handbook = tmp_path / "handbook"
    handbook.mkdir()
    (handbook / "retries.md").write_text(f"# Retries\n\nA failed request is retried five times; {QUOTE}.\n")
    (handbook / "client.py").write_text(f'{LINE}\n    """How long to wait before retry number `attempt`."""\n')
    async with MessagesApi() as api:
        more = {"CTN_LEASE": "2", "CTN_CACHE": str(tmp_path / "cache"), "CTN_GRACE": "60", "CTN_ATTEMPTS": "9"}
        for name, value in {**api.environment(), **more, "CTN_HEDGE": "off,docs=2"}.items():
            monkeypatch.setenv(name, value)
        fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=ALWAYS)
        await fleet.start(strict=True)
        try:
            async with Client(fleet.url) as client:
                yield Stage(fleet, client, Model(api), handbook)
        finally:
            await fleet.stop(10.0)
        assert not api.unexpected
        assert not api.rejected


def came_to(view: TaskView) -> Any:
    """What has to be the same whatever happens on the way."""
    assert view.report
    findings = [(s.kind, s.status, s.findings) for s in view.subtasks]
    return view.report.text, sorted(findings, key=str), view.usage.model_calls, view.usage.output_tokens


async def test_a_worker_that_is_killed_between_two_turns_has_nothing_asked_again(stage: Stage) -> None:
    undisturbed = came_to(await stage.ended(await stage.submit()))
    for moment in MOMENTS:
        await stage.ready()
        stage.model.hold(moment)
        task = await stage.submit()
        await stage.model.held()
        os.kill(stage.fleet.pids[SERVICES[moment[0]]], signal.SIGKILL)
        stage.model.go_on()
        assert came_to(await stage.ended(task)) == undisturbed, moment
        assert stage.model.repeated() == [moment]  # what was under way, and had no answer yet
        assert stage.model.calls == undisturbed[2] + 1


async def test_a_rolling_restart_repeats_no_call(stage: Stage) -> None:
    undisturbed = came_to(await stage.ended(await stage.submit()))
    for moment in MOMENTS:
        await stage.ready()
        stage.model.hold(moment)
        task = await stage.submit()
        await stage.model.held()
        leaving = stage.fleet.pids[SERVICES[moment[0]]]
        os.kill(leaving, signal.SIGTERM)
        stage.model.go_on()
        assert came_to(await stage.ended(task)) == undisturbed, moment
        assert stage.model.repeated() == []
        assert stage.model.calls == undisturbed[2]
        await until(lambda pid=leaving: pid not in stage.fleet.pids.values(), "it has left")


async def test_a_frozen_worker_asks_nothing_more_once_its_work_was_taken_over(stage: Stage) -> None:
    undisturbed = came_to(await stage.ended(await stage.submit()))
    await stage.ready()
    stage.model.hold(("docs", 1))
    task = await stage.submit()
    await stage.model.held()
    frozen = stage.fleet.pids["docs"]
    os.kill(frozen, signal.SIGSTOP)
    environment = {**os.environ, "CTN_NATS_URL": stage.fleet.url}
    other = await asyncio.create_subprocess_exec(sys.executable, "-m", "concertino.docs", env=environment)
    try:
        await until(lambda: bool(stage.model.repeated()), "another asks what was under way", 60)
        stage.model.go_on()
        view = await stage.ended(task)
        asked = stage.model.calls
        os.kill(frozen, signal.SIGCONT)

        async def booked() -> bool:
            facts = await stage.client.facts(task)
            return any(isinstance(fact.message, Spent) for fact in facts)

        await until(booked, "the first says what it took, and that it was taken over", 60)
        assert stage.model.calls == asked == undisturbed[2] + 1
        assert came_to(view) == undisturbed
    finally:
        os.kill(frozen, signal.SIGCONT)
        other.terminate()
        await other.wait()


async def test_a_hedge_of_whoever_waits_for_an_answer_asks_for_that_answer_alone(stage: Stage) -> None:
    undisturbed = came_to(await stage.ended(await stage.submit()))
    environment = {**os.environ, "CTN_NATS_URL": stage.fleet.url}
    other = await asyncio.create_subprocess_exec(sys.executable, "-m", "concertino.docs", env=environment)
    try:

        async def both() -> bool:
            return sum(worker.replicas for worker in await stage.client.workers() if worker.kind == "docs") == 2

        await until(both, "another replica", 60)
        stage.model.hold(("docs", 2))
        task = await stage.submit(max_tokens=None)
        await until(lambda: ("docs", 2) in stage.model.repeated(), "another asks for it, too", 60)
        assert stage.model.repeated() == [("docs", 2)]
        stage.model.go_on()
        view = await stage.ended(task)
        assert came_to(view)[:2] == undisturbed[:2]
        assert stage.model.calls == undisturbed[2] + 1
    finally:
        other.terminate()
        await other.wait()
