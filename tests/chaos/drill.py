"""``make drill``: what one SIGKILL costs, of each kind of service and of the server in turn, in seconds and in work done
twice.

:data:`TASKS` tasks of :data:`SUBTASKS` subtasks, each of a second, all submitted at once to a fixed fleet; :data:`AFTER`
seconds later one process is killed, and started again half a second after that. The yardstick: every task answered within the
lease (``CTN_LEASE``) and :data:`SLACK` seconds of the time that it takes undisturbed, and no subtask done twice. What was
done is counted by the workers themselves, each time that they come to the end of a subtask; what of that was of no use stands
in the logs besides (``spent``: another attempt was first). The exit status says whether all of it holds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop
from msgspec import Struct
from tests.chaos import collect, run
from tests.chaos.command import interruptible, log_into
from tests.chaos.orders import OWN
from tests.chaos.servers import Servers
from tests.chaos.services import Services

from concertino.bus.jetstream import JetStream
from concertino.client import Client, Limits, Plan, Subtask
from concertino.contracts.messages import Spent
from concertino.runtime.provision import provision
from concertino.runtime.settings import Settings, settings

TASKS, SUBTASKS, SECONDS = 40, 8, 1.0
AFTER, SLACK = 2.0, 2.0
PATIENCE = 100.0
"""Seconds after which nobody waits any more."""
SLOTS = 16
FLEET = (
    *("orchestrator-1", "orchestrator-2", "synthesizer-1", "synthesizer-2"),
    *(f"{OWN}-{i}" for i in range(1, 5)),
)
SERVER = "server"
VICTIMS = ("", "orchestrator-1", "synthesizer-1", f"{OWN}-1", SERVER)
"""Who is killed; first nobody."""


class Row(Struct, frozen=True):
    """One run. ``seconds`` is when the last outcome came, ``twice`` how many subtasks were done whole more than once."""

    victim: str
    answered: int
    seconds: float
    twice: int
    refused: int = 0
    """Results of work that was done whole, and came second."""


def verdict(row: Row, undisturbed: float, lease: float) -> str:
    """What is to be said of ``row``; empty where it holds."""
    found = []
    if row.answered < TASKS:
        found.append(f"{TASKS - row.answered} not answered")
    if row.victim and (over := row.seconds - (undisturbed + lease + SLACK)) > 0:
        found.append(f"{over:.1f} s too late")
    if row.twice:
        found.append(f"{row.twice} done twice")
    return ", ".join(found)


def line(row: Row, undisturbed: float, lease: float) -> str:
    limit = f"{undisturbed + lease + SLACK:8.1f}" if row.victim else " " * 8
    judged = verdict(row, undisturbed, lease)
    counted = f"{f'{row.answered}/{TASKS}':>9} {row.twice:>6} {row.refused:>8}"
    return f"{row.victim or 'nobody':16} {row.seconds:8.1f} {limit}  {counted}  {'MISSED: ' + judged if judged else 'holds'}"


HEADER = f"{'killed':16} {'seconds':>8} {'limit':>8}  {'answered':>9} {'twice':>6} {'refused':>8}"


async def drill(victim: str, folder: Path, lease: float) -> Row:
    """One run on a fleet of its own."""
    interruptible()
    done = folder / "done"
    done.mkdir(parents=True)
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context((folder / "services.log").open("w"))
        servers = Servers(folder / "nats", 1)
        stack.callback(servers.stop)
        await servers.start()
        config = Settings(nats_url=servers.urls[0], lease=lease)
        bus = await JetStream.connect(servers.urls[0], "drill", config.subjects, patience=10.0)
        stack.push_async_callback(bus.close)
        await provision(bus, config, run.on_demand(FLEET))
        environment = run.environment(folder, lease) | {"CTN_HEDGE": "auto", "CHAOS_DONE": str(done), "CHAOS_SLOTS": str(SLOTS)}
        services = Services(FLEET, servers.urls, environment, log)
        stack.push_async_callback(services.stop)
        await services.start()
        client = await stack.enter_async_context(Client(config=config))
        await run.ready(client, services)
        killing = asyncio.create_task(_kill(victim, services, servers))
        stack.callback(killing.cancel)
        began = time.perf_counter()
        ended = await asyncio.gather(*(_ask(client, f"d{i:02}", began) for i in range(TASKS)))
        logs = await collect.logs(bus, config.subjects)
    counted = Counter(tuple(file.name.split()[:2]) for file in done.iterdir())
    refused = sum(
        isinstance(fact.message, Spent) and fact.message.seconds >= SECONDS and fact.message.why.startswith("another attempt")
        for facts in logs.values()
        for fact in facts
    )
    return Row(
        victim,
        sum(seconds is not None for seconds in ended),
        max((seconds for seconds in ended if seconds is not None), default=PATIENCE),
        sum(n > 1 for n in counted.values()),
        refused,
    )


async def _ask(client: Client, task: str, began: float) -> float | None:
    """Seconds until ``task`` was answered; None where it was not."""
    subtasks = tuple(
        Subtask(id=f"s{i}", kind=OWN, objective=f"count {i}", params={"seconds": SECONDS}) for i in range(SUBTASKS)
    )
    try:
        async with asyncio.timeout(PATIENCE):
            view = await client.ask("count", plan=Plan(subtasks=subtasks), limits=Limits(deadline=PATIENCE), task=task)
    except TimeoutError:
        return None
    return time.perf_counter() - began if view.status == "answered" else None


async def _kill(victim: str, services: Services, servers: Servers) -> None:
    await asyncio.sleep(AFTER)
    if victim == SERVER:
        servers.signal(servers.nodes[0], signal.SIGKILL)
    elif victim:
        services.replicas[victim].signal(signal.SIGKILL)


def main() -> int:
    """The exit status: 0 where the yardstick is held."""
    lease = settings(os.environ).lease
    folder = Path(tempfile.mkdtemp(prefix="concertino-drill-"))
    log_into(folder)
    print(f"{TASKS} tasks of {SUBTASKS} subtasks of {SECONDS:g} s, {SLOTS * 4} slots, a lease of {lease:g} s", flush=True)
    print(HEADER, flush=True)
    good, undisturbed = True, 0.0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for victim in VICTIMS:
            try:
                row = runner.run(drill(victim, folder / (victim or "nobody"), lease))
            except (KeyboardInterrupt, asyncio.CancelledError):
                print(f"stopped; what there is, is in {folder}", flush=True)
                return 130
            undisturbed = undisturbed or row.seconds
            good = good and not verdict(row, undisturbed, lease)
            print(line(row, undisturbed, lease), flush=True)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"kept: {folder}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
