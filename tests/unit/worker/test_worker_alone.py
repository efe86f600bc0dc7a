"""Who has a process for itself, who waits for it, and who does not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from concertino.worker.job import Job
from concertino.worker.middleware import alone as module
from concertino.worker.middleware.alone import Room


class People:
    """Those who want to come in, and who is there. Its clock stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.room = Room(lambda: self.now)
        self.there: list[str] = []
        self.jobs: dict[str, Any] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, *, alone: bool = False) -> None:
        job = SimpleNamespace(alone=alone, context=SimpleNamespace(cancelled=False), work=SimpleNamespace(deadline=100.0))
        self.jobs[name] = job

        async def enter() -> None:
            await self.room.enter(cast(Job, job))
            self.there.append(name)

        self.tasks[name] = asyncio.create_task(enter())
        await turn()

    async def go(self, name: str) -> None:
        self.there.remove(name)
        self.room.leave(self.jobs[name])
        await turn()


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_after_another_and_then_all_the_others() -> None:
    people = People()
    await people.come("a")
    await people.come("b")
    await people.come("x", alone=True)
    await people.come("y", alone=True)
    await people.come("c")
    assert people.there == ["a", "b"]
    await people.go("a")
    assert people.there == ["b"]
    await people.go("b")
    assert people.there == ["x"]
    await people.go("x")
    assert people.there == ["y"]
    await people.go("y")
    await people.come("d")
    assert people.there == ["c", "d"]


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    people = People()
    await people.come("a")
    await people.come("x", alone=True)
    await people.come("b")
    people.tasks["x"].cancel()
    await turn()
    assert people.there == ["a", "b"]


@pytest.mark.parametrize("alone", [True, False])
async def test_who_was_told_to_end_and_does_not_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch, alone: bool) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.01)
    people = People()
    await people.come("stuck", alone=alone)
    await people.come("x", alone=True)
    await people.come("a")
    assert people.there == ["stuck"]
    people.jobs["stuck"].context.cancelled = True
    await asyncio.wait_for(people.tasks["x"], 10)
    assert people.there == ["stuck", "x"]
    await people.go("x")
    assert people.there == ["stuck", "a"]


async def test_what_is_of_no_use_any_more_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.01)
    people = People()
    await people.come("a")
    await people.come("x", alone=True)
    people.now = 100.0
    await asyncio.wait_for(people.tasks["x"], 10)
