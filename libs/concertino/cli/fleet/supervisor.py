"""Keeps services running as processes of their own: started again with back-off, drained in the end, never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from concertino.cli.fleet.services import Service

Say: TypeAlias = Callable[[str, str], None]
"""Takes the name of a service and a line of its log; or :data:`OURS` and a line about one."""
OURS = "supervisor"

FIRST_DELAY, LONGEST_DELAY = 0.5, 5.0
STEADY = 10.0
"""Seconds after which a service counts as running well: when it ends then, the back-off begins anew."""
CHUNK = 64 * 1024


def delay(ends: int) -> float:
    """Seconds to wait before a start, after ``ends`` unexpected ends in a row."""
    return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** (ends - 1)))


class Supervisor:
    """``services`` as processes. ``say`` receives each line that they write."""

    def __init__(self, services: Sequence[Service], environment: Mapping[str, str], say: Say) -> None:
        self._services, self._environment, self._say = services, dict(environment), say
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.ended: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        """Every unexpected end: the service, and how it ended."""

    def start(self) -> None:
        """Start all; each is kept running from now on."""
        self._keepers = [asyncio.create_task(self._keep(service)) for service in self._services]

    @property
    def pids(self) -> dict[str, int]:
        """Service to process, for those that run."""
        return {name: process.pid for name, process in self._processes.items() if process.returncode is None}

    async def stop(self, within: float) -> None:
        """Tell all to drain, and end with force what has not ended ``within`` seconds."""
        self._stopping.set()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=within)
            if late:
                self.kill()
                await asyncio.wait(late)

    def kill(self) -> None:
        """End all at once, with whatever they have started. Safe to call at any time, from a signal handler too."""
        self._stopping.set()
        for process in self._processes.values():
            if process.returncode is None:
                _kill_group(process)

    async def _keep(self, service: Service) -> None:
        clock = asyncio.get_running_loop().time
        ends = 0
        while not self._stopping.is_set():
            started = clock()
            try:
                how = described(await self._run(service))
            except OSError as e:
                how = f"it could not be started: {e.strerror}"
            if self._stopping.is_set():
                return
            ends = 1 if clock() - started > STEADY else ends + 1
            pause = delay(ends)
            self._say(OURS, f"{service.name} ended unexpectedly ({how}); starting again in {pause:g} s")
            self.ended.put_nowait((service.name, how))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run(self, service: Service) -> int:
        """Run ``service`` once. Its exit status, negative for a signal; whatever it had started is gone then."""
        process, lifeline = await self._spawn(service)
        try:
            if self._stopping.is_set():
                process.terminate()
            await self._log(service.name, process)
            return await process.wait()
        finally:
            os.close(lifeline)
            _kill_group(process)

    async def _spawn(self, service: Service) -> tuple[asyncio.subprocess.Process, int]:
        """The process, and our end of the pipe that it is tethered by."""
        theirs, ours = os.pipe()
        try:
            # -P: modules are not taken from the folder in which somebody happens to ask a question.
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "concertino.cli.fleet.tether",
                str(theirs),
                service.target,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                pass_fds=(theirs,),
                start_new_session=True,  # Ctrl-C in the terminal is for us; and one group is one thing to end
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._processes[service.name] = process
        return process, ours

    async def _log(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Pass on what the process writes, line by line, until it closes its output. Lines may have any length."""
        assert process.stdout is not None
        rest = b""
        while chunk := await process.stdout.read(CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._say(name, line.decode(errors="replace"))
        if rest:
            self._say(name, rest.decode(errors="replace"))


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def described(status: int) -> str:
    """How a process ended: its exit status, negative for a signal, as people say it."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
