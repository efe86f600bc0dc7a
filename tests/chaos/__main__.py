"""``make chaos``: real services on real servers, everything breaks in turn, and a verdict with a matching exit status.

The first half runs on one server, the second on three with three copies of each stream. ``SEED`` draws the plan, of tasks and
of faults: the same seed and length give the same plan, though not the same instant of the operating system. ``MINUTES`` is
how long things break, in both halves together; ``NODES`` runs on so many servers alone. What each figure of the last line
means stands in :mod:`tests.chaos.verdict`. A run that fails, or with ``KEEP``, keeps its folder:
logs of services and servers, and the log of each task.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import uvloop
from tests.chaos.command import interruptible, log_into
from tests.chaos.run import Half, run
from tests.chaos.services import ALL
from tests.chaos.verdict import Verdict, verdict

from concertino.contracts.errors import ConcertinoError

MINUTES = 3.0


def main() -> int:
    """The exit status: 0 where nothing was lost, done twice or left behind."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="concertino-chaos-"))
    log_into(folder)
    nodes = [options.nodes] if options.nodes else [1, 3]
    print(f"SEED={options.seed} MINUTES={options.minutes:g} NODES={options.nodes or ''}; what is kept: {folder}", flush=True)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(_run(options.seed, options.minutes * 60, nodes, folder))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print(f"stopped; what there is, is in {folder}", flush=True)
        return 130
    except (ConcertinoError, TimeoutError) as e:
        print(f"it could not be run: {e or type(e).__name__}; see {folder}", flush=True)
        return 2
    status = told(found)
    if status:
        print(f"again: make chaos SEED={options.seed} MINUTES={options.minutes:g} NODES={options.nodes or ''}; kept: {folder}")
    elif not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return status


def told(found: Verdict) -> int:
    """Say what was found, at last in one line. The exit status that goes with it."""
    for name in ("lost", "duplicated", "stuck", "repeated", "wrong"):
        for each in getattr(found, name):
            print(f"{name}: {each}", flush=True)
    for slow in sorted(found.recovery, reverse=True)[:3]:
        print(f"  slowest to go on: {slow.task}, {slow.seconds:.1f} s after {slow.what}", flush=True)
    print(found.line, flush=True)
    return 0 if found.good else 1


async def _run(seed: int, seconds: float, nodes: list[int], folder: Path) -> Verdict:
    interruptible()
    total = Verdict(0, 0, (), (), (), (), (), ())
    for number, count in enumerate(nodes):
        half = Half(seed, number, seconds / len(nodes), count, ALL, folder / f"half-{number}")
        came = await run(half, lambda text: print(text, flush=True))
        for note in came.notes:
            print(f"  {note}", flush=True)
        total = total + verdict(came.evidence)
    return total


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    environment = os.environ
    parser.add_argument("--seed", type=int, default=int(environment.get("SEED") or secrets.randbelow(100_000)))
    parser.add_argument("--minutes", type=float, default=float(environment.get("MINUTES") or MINUTES))
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=int(environment.get("NODES") or 0) or None)
    parser.add_argument("--keep", action="store_true", default=bool(environment.get("KEEP")), help="the folder, in any case")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
