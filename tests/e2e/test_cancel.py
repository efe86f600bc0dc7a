"""Cancelled: no call of a model goes on, and none follows, whoever was asking."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS, own_workers
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.runtime.settings import settings
from concertino.testing import Hang, MessagesApi
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats]

ECHO = Path(__file__).parent.parent / "kit" / "echo.py"
AT_ONCE = 10.0
"""Seconds: far below what a call that nobody ends would take, and enough for a machine that has much else to do."""


@pytest.mark.parametrize("asking", ["plan", "docs", "synthesize"])
async def test_a_cancelled_task_asks_no_model_any_more(asking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "retries.md").write_text("# Retries\n\nA failed request is retried five times.\n")
    source = Source(kind="docs", location=str(tmp_path / "retries.md"))
    plans = {
        "plan": None,
        "docs": Plan(subtasks=(Subtask(id="s1", kind="docs", objective="How often?", sources=(source,)),)),
        "synthesize": Plan(subtasks=(Subtask(id="s1", kind="echo", objective="Five times."),)),
    }
    async with MessagesApi() as api:
        api.on("", every=Hang(after=3))
        for name, value in {**api.environment(), "CTN_CACHE": str(tmp_path / "cache")}.items():
            monkeypatch.setenv(name, value)
        services = (*ALWAYS, *own_workers([str(ECHO)]))
        fleet = Fleet(settings(), lambda *_: None, store=tmp_path / "nats", services=services)
        await fleet.start(strict=True)
        try:
            async with Client(fleet.url) as client:

                async def there() -> bool:
                    return "echo" in {worker.kind for worker in await client.workers()}

                await until(there, "the worker announces itself")
                task = await client.submit("How often?", plan=plans[asking], sources=[source], limits=Limits(deadline=120))
                await until(lambda: len(api.asked) == 1, "a model is asked")
                began = time.monotonic()
                await client.cancel(task)
                await until(lambda: len(api.abandoned) == 1, "its connection is closed", seconds=AT_ONCE)
                assert (await client.wait(task, timeout=AT_ONCE)).status == "cancelled"
                assert time.monotonic() - began < AT_ONCE
                await asyncio.sleep(1.5)  # longer than the first pause between two attempts
                assert len(api.asked) == 1
        finally:
            await fleet.stop(10.0)
