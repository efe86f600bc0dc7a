"""``python -m concertino.cli.fleet.tether FD TARGET [ARGUMENT ...]``: a program that ends with its parent.

The parent holds the other end of the pipe ``FD`` and never writes to it. However the parent ends, the kernel closes the pipe,
and this process ends at once with all that it has started: its process group. Works on every POSIX system, and wherever in the
parent the process was started from.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from pathlib import Path


def hold(descriptor: int) -> None:
    """End this process group when the other end of the pipe ``descriptor`` is closed."""

    def wait() -> None:
        os.read(descriptor, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, name="tether", daemon=True).start()


def run(target: str, arguments: list[str]) -> None:
    """Run the file or module ``target`` as ``python`` would run it as its main program."""
    sys.argv = [target, *arguments]
    if Path(target).is_file():
        sys.path.insert(0, str(Path(target).resolve().parent))
        runpy.run_path(target, run_name="__main__")
    else:
        if not target.startswith("concertino."):
            sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(target, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    hold(int(sys.argv[1]))
    run(sys.argv[2], sys.argv[3:])
