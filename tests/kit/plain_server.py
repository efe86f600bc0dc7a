"""The NATS server with whatever options a test wants: without JetStream, with a password."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from concertino.runtime.nats_server import nats_server_binary


@contextmanager
def plain_server(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """``host:port`` of a server that runs for as long as the context does."""
    log = folder / "log"
    log.touch()
    command = [str(nats_server_binary()), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(folder), *options]
    with log.open("wb") as out, subprocess.Popen(command, stderr=out, env={**os.environ, **(environment or {})}) as process:
        try:
            # Its file of ports is named for its process, and comes before or after it says that it is ready.
            while "Server is ready" not in log.read_text() or not (folder / f"nats-server_{process.pid}.ports").exists():
                assert process.poll() is None, log.read_text()
                time.sleep(0.005)
            [line] = [line for line in log.read_text().splitlines() if "Listening for client connections" in line]
            yield line.rpartition(" ")[2]
        finally:
            process.kill()
