"""The supervisor with real processes: started again, drained, ended with force, and nothing left of what they started."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from concertino.cli.fleet.logbook import LogFile, prefixed
from concertino.cli.fleet.services import Service, environment, of_use, own_workers
from concertino.cli.fleet.supervisor import LONGEST_DELAY, OURS, Supervisor, delay
from concertino.cli.question import Question
from concertino.contracts.errors import BadSetting
from concertino.contracts.messages import Limits, Plan, Source, Subtask
from concertino.runtime.config import Config, McpServer
from concertino.runtime.settings import Settings
from kit.waiting import until

Said = list[tuple[str, str]]


@asynccontextmanager
async def supervised(folder: Path, **programs: str) -> AsyncIterator[tuple[Supervisor, Said]]:
    """A program per service, as Python text."""
    said: Said = []
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text)
    services = [Service(name, str(folder / f"{name}.py")) for name in programs]
    supervisor = Supervisor(services, os.environ, lambda name, line: said.append((name, line)))
    supervisor.start()
    try:
        yield supervisor, said
    finally:
        await supervisor.stop(0)


def lives(pid: int) -> Callable[[], bool]:
    """Whether a process that is not our child still runs."""

    def alive() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z"

    return alive


async def test_every_line_is_passed_on(tmp_path: Path) -> None:
    program = "import sys, time; print('out'); print('é' * 100_000, file=sys.stderr); sys.stdout.write('no end'); sys.exit(3)"
    async with supervised(tmp_path, talker=program) as (supervisor, said):
        assert await supervisor.ended.get() == ("talker", "exit status 3")
        lines = [line for name, line in said if name == "talker"]
        assert sorted(map(len, lines)) == [3, 6, 100_000]
        assert (OURS, "talker ended unexpectedly (exit status 3); starting again in 0.5 s") in said


async def test_what_ends_is_started_again(tmp_path: Path) -> None:
    program = "import os; print(os.getpid(), flush=True); os.kill(os.getpid(), 9)"
    async with supervised(tmp_path, mortal=program) as (supervisor, said):
        for _ in range(2):
            assert await supervisor.ended.get() == ("mortal", "SIGKILL")
        assert len({line for name, line in said if name == "mortal"}) == 2


async def test_those_that_drain_may_say_goodbye(tmp_path: Path) -> None:
    # A handler that printed might interrupt the print before it: a blocked signal is waited for instead.
    program = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("ready", flush=True)
signal.sigwait([signal.SIGTERM])
print("bye", flush=True)
"""
    async with supervised(tmp_path, polite=program) as (supervisor, said):
        await until(lambda: ("polite", "ready") in said)
        await supervisor.stop(10)
        assert said[-1] == ("polite", "bye")
        assert supervisor.pids == {}
        assert supervisor.ended.empty()


async def test_the_stubborn_are_ended_with_all_that_they_started(tmp_path: Path) -> None:
    program = """
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid, flush=True)
while True:
    signal.pause()
"""
    async with supervised(tmp_path, stubborn=program) as (supervisor, said):
        await until(lambda: bool(said))
        child = lives(int(said[0][1]))
        assert child()
        await supervisor.stop(0.05)
        assert supervisor.pids == {}
        await until(lambda: not child())


async def test_a_service_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text("import os, signal; print(os.getpid(), flush=True); signal.pause()")
    parent = f"""
import asyncio, os
from concertino.cli.fleet.services import Service
from concertino.cli.fleet.supervisor import Supervisor

async def main():
    Supervisor([Service("s", {str(tmp_path / "service.py")!r})], os.environ, lambda _, line: print(line, flush=True)).start()
    await asyncio.Event().wait()

asyncio.run(main())
"""
    (tmp_path / "parent.py").write_text(parent)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tmp_path / "parent.py"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    service = lives(int(await process.stdout.readline()))
    assert service()
    process.kill()
    await process.communicate()
    await until(lambda: not service())


def test_the_delay_grows_and_is_bounded() -> None:
    assert [delay(ends) for ends in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert delay(50) == LONGEST_DELAY


def test_own_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("legal.py").write_text("raise SystemExit('must not be imported')")
    Path("docs.py").write_text("")
    found = own_workers(["legal.py", "legal", "docs.py"])
    assert [service.name for service in found] == ["legal", "legal-2", "docs-2"]
    assert found[0].target == str(tmp_path / "legal.py")
    for wrong in ("nope.py", "nope", "", "-m", "a b"):
        with pytest.raises(BadSetting, match="--worker"):
            own_workers([wrong])


def test_services_are_told_their_bus() -> None:
    told = environment({"CTN_NATS_URL": "old", "CTN_LOG_FORMAT": "json"}, "new")
    assert (told["CTN_NATS_URL"], told["CTN_LOG_FORMAT"]) == ("new", "json")


def test_the_log_names_who_spoke(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.say("docs", "it broke \x1b[31m")
    log.say("web", "all is well")
    log.say(OURS, "docs ended")
    log.close()
    assert [log.last(name) for name in ("docs", "web", "code")] == ["it broke [31m", "all is well", ""]
    assert (tmp_path / "log").read_text() == "".join(
        f"{prefixed(*said)}\n" for said in [("docs", "it broke [31m"), ("web", "all is well"), (OURS, "docs ended")]
    )


@pytest.mark.parametrize(
    ("request_", "kinds", "given", "environment", "besides"),
    [
        ("Why?", {"code", "docs"}, {}, {}, []),
        ("Why?", {"code"}, {}, {"ANTHROPIC_API_KEY": ""}, []),
        ("Why?", set(), {"model": "extractive"}, {"ANTHROPIC_API_KEY": "x"}, []),
        ("Why?", set(), {}, {"ANTHROPIC_API_KEY": "x"}, ["web", "general"]),
        ("Why?", {"web"}, {}, {}, ["web"]),
        ("Why?", {"general"}, {}, {}, ["general"]),
        ("What does HTTPS://example.org/a say?", set(), {}, {}, ["web"]),
        ("Why?", set(), {"search": "brave"}, {}, ["web"]),
    ],
)
def test_a_question_starts_only_what_can_be_of_use(
    request_: str, kinds: set[str], given: dict[str, Any], environment: dict[str, str], besides: list[str]
) -> None:
    names = [service.name for service in of_use(request_, kinds, Settings(**given), Config(), environment)]
    assert names == ["orchestrator", "synthesizer", "docs", "code", *besides]


def test_tools_from_elsewhere_are_for_general_to_use() -> None:
    config = Config(mcp={"tickets": McpServer(command=("tickets-mcp",))})
    assert [service.name for service in of_use("Why?", set(), Settings(), config, {})][4:] == ["general"]


def test_kinds_of_a_question_are_those_of_its_sources_and_its_plan() -> None:
    page = Source(kind="web", location="https://example.org")
    plan = Plan(subtasks=(Subtask(id="s1", kind="legal", objective="x", sources=(page,)),))
    asked = Question("Why?", (Source(kind="docs", location="/x"),), Limits(), plan, "batch")
    assert asked.kinds == {"docs", "legal", "web"}
