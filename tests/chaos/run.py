"""One half of a run: everything started, everything broken in turn, everything calm again, and what is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from tests.chaos import collect, orders, plan
from tests.chaos.callers import Callers
from tests.chaos.faults import Breaker
from tests.chaos.model import Calls
from tests.chaos.servers import Servers
from tests.chaos.services import Grown, Services
from tests.chaos.verdict import OVERDUE, Broke, Evidence, Kept, answers, endings, paid_twice
from tests.chaos.watch import Watch
from tests.kit.site import Site, running

from concertino.bus.connection import dial
from concertino.bus.jetstream import JetStream
from concertino.client import Client
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.facts import Fact
from concertino.runtime import config as files
from concertino.runtime.provision import provision
from concertino.runtime.settings import Settings

Say = Callable[[str], None]

READY_WITHIN = 120.0
"""Seconds until all services are announced, on however busy a machine."""
EMPTY_WITHIN = 45.0
"""Seconds, once all tasks are over, until nothing is left in any queue: a lease, its delays, and a busy machine."""
MAX_QUEUED = 24
"""Pieces of work in one queue: an overload fills it, and tasks are refused until there is room again."""
TOLD_EVERY = 10.0
HTML = {"Content-Type": "text/html; charset=utf-8"}


class Half(Struct, frozen=True):
    """What is to be run. ``lease`` and ``deadline`` are in seconds; ``nodes`` is how many servers there are."""

    seed: int
    number: int
    seconds: float
    nodes: int
    services: tuple[str, ...]
    folder: Path
    lease: float = 5.0
    deadline: float = 60.0
    pace: float = 1.0


class Came(Struct, frozen=True):
    """What it came to."""

    evidence: Evidence
    notes: tuple[str, ...]
    """For people: what is no figure of the verdict."""


async def run(half: Half, say: Say) -> Came:
    """Raises what kept it from being run at all; whatever broke while it ran is in the evidence."""
    script = plan.script(half.seed, half.number, half.seconds, half.services, deadline=half.deadline, pace=half.pace)
    say(f"{len(script.orders)} tasks and {len(script.faults)} faults in {half.seconds:.0f} s, on {half.nodes} server(s)")
    async with contextlib.AsyncExitStack() as stack:
        return await _Stage(half, script, say).play(stack)


class _Stage:
    def __init__(self, half: Half, script: plan.Script, say: Say) -> None:
        self._half, self._script, self._say = half, script, say
        self._began = 0.0
        self._broken: list[Broke] = []
        self._doing: list[asyncio.Task[Any]] = []

    async def play(self, stack: contextlib.AsyncExitStack) -> Came:
        half = self._half
        half.folder.mkdir(parents=True, exist_ok=True)
        log = stack.enter_context((half.folder / "services.log").open("w"))
        site = stack.enter_context(running(_site()))
        material = orders.write_material(half.folder / "material", site.url("/"))
        calls = half.folder / "calls.json"
        model = await stack.enter_async_context(model_api(half.seed, half.folder, calls))
        servers = Servers(half.folder / "nats", half.nodes)
        stack.callback(servers.stop)
        await servers.start()
        url = ",".join(servers.urls)
        settings = Settings(nats_url=url, replicas=half.nodes, lease=half.lease, max_queued=MAX_QUEUED)
        subjects = settings.subjects
        bus = await JetStream.connect(url, "chaos", subjects, patience=10.0)
        stack.push_async_callback(bus.close)
        await provision(bus, settings, on_demand(half.services))
        named = {**environment(half.folder, half.lease, half.nodes), **model.environment}
        services = Services(half.services, servers.urls, named, log)
        stack.push_async_callback(services.stop)
        await services.start()
        client = await stack.enter_async_context(Client(config=settings))
        await ready(client, services)
        self._say(f"{len(services.replicas)} services are ready")
        nats = await dial(url, "chaos-raw", patience=10.0)
        stack.push_async_callback(nats.close)
        watch = Watch(bus, subjects)
        watch.start()
        stack.push_async_callback(watch.stop)
        callers = Callers(client, nats, subjects, material)
        services.measure()
        self._began = time.time()
        await self._storm(callers, Breaker(servers, services, nats, subjects), watch)
        services.heal()
        for node in servers.nodes:
            servers.thaw(node)
        await self._calm(callers, watch)
        left = await self._emptied(bus, subjects, watch)
        grown = services.measure()
        await watch.look()
        await watch.stop()
        logs = await collect.logs(bus, subjects)
        logs = {task: collect.first_of(facts, task, callers.spoiled) for task, facts in logs.items()}
        final = await collect.versions(bus, subjects)
        wrong = [*callers.wrong, *servers.trouble, *await collect.quotes(bus, logs)]
        kept = await collect.kept(bus, subjects, watch.kept.values())
        await services.stop()
        await model.end()
        told = msgspec.json.decode(calls.read_bytes(), type=Calls)
        evidence = Evidence(
            accepted=frozenset(callers.accepted),
            logs=logs,
            final=final,
            watched={about: frozenset(versions) for about, versions in watch.facts.items()},
            spoiled=frozenset(callers.spoiled),
            left=left,
            calls=told,
            kept=kept,
            faults=self._broken,
            wrong=wrong,
        )
        self._keep(logs)
        return Came(evidence, tuple(_notes(callers, logs, told, kept, grown)))

    # --- while it breaks

    async def _storm(self, callers: Callers, breaker: Breaker, watch: Watch) -> None:
        """All orders and faults, each at its time."""
        begun = [self._at(order.at, callers.do(order)) for order in self._script.orders]
        begun += [self._at(fault.at, self._break(breaker, fault)) for fault in self._script.faults]
        self._doing = [asyncio.create_task(each) for each in begun]
        telling = asyncio.create_task(self._tell(callers, watch))
        try:
            await asyncio.gather(*self._doing)
        finally:
            telling.cancel()
            for doing in self._doing:
                doing.cancel()

    async def _at(self, at: float, do: Coroutine[Any, Any, Any]) -> None:
        try:
            await asyncio.sleep(max(self._began + at - time.time(), 0))
        except asyncio.CancelledError:
            do.close()
            raise
        await do

    async def _break(self, breaker: Breaker, fault: plan.Fault) -> None:
        self._broken.append(Broke(time.time(), f"{fault.what} {fault.whom}".strip()))
        self._say(f"{self._now}  {fault.whom or 'bus':15} {await breaker.do(fault)}")

    async def _tell(self, callers: Callers, watch: Watch) -> None:
        while True:
            await asyncio.sleep(TOLD_EVERY)
            self._say(f"{self._now}  {len(callers.accepted)} tasks submitted, {len(watch.outcomes)} over")

    @property
    def _now(self) -> str:
        return f"{time.time() - self._began:6.1f} s"

    # --- when it is calm

    async def _calm(self, callers: Callers, watch: Watch) -> None:
        """Until every task has its outcome, or should have it by now."""
        self._say(f"{self._now}  calm: {len(callers.accepted) - len(watch.outcomes.keys() & callers.accepted)} tasks to go")
        while waiting := [order for task, order in callers.accepted.items() if task not in watch.outcomes]:
            if time.time() > self._began + max(order.at + order.deadline for order in waiting) + OVERDUE:
                return
            await asyncio.sleep(0.3)

    async def _emptied(self, bus: JetStream, subjects: Any, watch: Watch) -> list[str]:
        """What is left in queues when there was time for it to be done."""
        give_up = time.time() + EMPTY_WITHIN
        while (left := await collect.patiently_left(bus, subjects, watch.outcomes)) and time.time() < give_up:
            await asyncio.sleep(1.0)
        return left

    def _keep(self, logs: Mapping[str, Sequence[Fact]]) -> None:
        folder = self._half.folder / "tasks"
        folder.mkdir(exist_ok=True)
        for task, facts in logs.items():
            (folder / f"{task}.jsonl").write_bytes(collect.as_json(facts))


def environment(folder: Path, lease: float, nodes: int = 1) -> dict[str, str]:
    """What every service is told, with its caches and logs below ``folder``."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CTN_", "ANTHROPIC_"))}
    return {
        **ours,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "CTN_REPLICAS": str(nodes),
        "CTN_LEASE": str(lease),
        "CTN_GRACE": "5",
        "CTN_CACHE": str(folder / "cache"),
        "CTN_ALLOW_NETWORKS": "127.0.0.0/8",
        "CTN_HEDGE": f"off,{orders.OWN}=3",
        "CTN_LOG_FORMAT": "json",
    }


def on_demand(services: Sequence[str]) -> files.Config:
    """As an installation has it whose kinds may have nobody there for a while: they are known all the same."""
    kinds = {name.partition("-")[0] for name in services}
    general = files.OnDemand(description="Takes on a role.", sources=("docs", "code", "web"), tools=orders.READER)
    known = {kind: files.OnDemand(description=f"Does {kind}.", sources=(kind,)) for kind in ("docs", "code", "web")}
    known |= {kind: files.OnDemand(description=f"Does {kind}.") for kind in (orders.OWN, orders.BRITTLE)}
    return files.Config(kinds={kind: said for kind, said in (known | {"general": general}).items() if kind in kinds})


async def ready(client: Client, services: Services) -> None:
    """Return once every kind is announced."""
    async with asyncio.timeout(READY_WITHIN):
        while services.kinds - {worker.kind for worker in await client.workers() if worker.replicas}:
            await asyncio.sleep(0.3)


class ModelApi:
    """The API's process."""

    def __init__(self, process: asyncio.subprocess.Process, environment: Mapping[str, str]) -> None:
        self._process, self.environment = process, environment

    async def end(self) -> None:
        """It writes down what it was asked, and is gone."""
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()


@contextlib.asynccontextmanager
async def model_api(seed: int, folder: Path, calls: Path) -> AsyncIterator[ModelApi]:
    """Running, and tethered to us: it ends with us, however we end."""
    address = folder / "address.json"
    theirs, ours = os.pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "concertino.cli.fleet.tether", str(theirs), "tests.chaos.model"]
    with (folder / "model.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            *(str(seed), str(address), str(calls)),
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=(theirs,),
            start_new_session=True,
        )
    os.close(theirs)
    try:
        async with asyncio.timeout(READY_WITHIN):
            while not address.exists():
                if process.returncode is not None:
                    raise ConcertinoError(f"the model's API did not start: see {folder / 'model.log'}")
                await asyncio.sleep(0.05)
        yield ModelApi(process, json.loads(address.read_text()))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(ours)


def _site() -> Site:
    site = Site()
    for number in range(orders.CHAPTERS):
        title = f"Chapter {number}"
        text = f"<h1>{title}</h1><p>{orders.chapter(number)}</p>"
        page = f"<html><head><title>{title}</title></head><main>{text}</main></html>"
        site.pages[f"/chapter-{number}"] = (200, HTML, page.encode())
    site.pages["/"] = (200, HTML, b"<html><main><h1>All chapters</h1><p>They are elsewhere.</p></main>")
    return site


def _notes(
    callers: Callers, logs: Mapping[str, Sequence[Fact]], told: Calls, kept: Sequence[Kept], grown: Sequence[Grown]
) -> list[str]:
    calls = told.calls
    ended = endings(logs)
    statuses = ", ".join(f"{len(reasons)} {status}" for status, reasons in ended.items())
    notes = [
        f"outcomes: {statuses}; {len(callers.refused)} submissions given up, {callers.repeated} calls repeated, "
        f"{callers.full} of them because a queue was full",
        *(f"failed: {reason[:200]}" for reason in ended.get("failed", ())),
        f"model calls: {len(calls)} reached the API, {sum(c.whole for c in calls)} answered to their end, "
        f"{answers(kept)} answers kept; {sum(c.left for c in calls)} cut in flight, {paid_twice(calls)} paid twice",
    ]
    notes += [
        f"{each.name}: open files {each.files[0]} -> {each.files[1]}, memory {each.memory[0]} -> {each.memory[1]} MiB"
        for each in grown
    ]
    return [*notes, *(f"not taken: {task}: {why}" for task, why in callers.refused.items())]
