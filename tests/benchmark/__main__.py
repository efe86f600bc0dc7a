"""What the machinery around the work costs: real services with their default settings, on a real server with file storage.

Run by ``make bench``. Beside every figure of speed stands what it is compared with, measured in turn in the same run: the
design's skeleton (:mod:`tests.benchmark.limit`), the bare bus, another size. Machines are noisy; ratios travel better.
``docs/performance.md`` says what the figures mean.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvloop
from tests.benchmark import growth, idle, latency, retrieval, straggler, throughput
from tests.benchmark.figures import HEADER, Figure, row

from concertino.runtime.nats_server import nats_server_binary

SECTIONS: Mapping[str, Callable[[argparse.Namespace], AsyncIterator[Figure]]] = {
    "latency": lambda options: latency.figures(options.seconds),
    "throughput": lambda options: throughput.figures(options.seconds),
    "width": lambda options: growth.width(options.seconds),
    "log": lambda options: growth.log(options.seconds, options.tasks),
    "replicas": lambda options: growth.replicas(options.seconds),
    "idle": lambda options: idle.figures(options.seconds),
    "straggler": lambda _: straggler.figures(),
    "retrieval": lambda _: retrieval.figures(),
}


async def run(options: argparse.Namespace) -> list[Figure]:
    """Every section that was asked for, each figure printed as it comes."""
    found: list[Figure] = []
    print(f"{HEADER}", flush=True)
    for name in options.sections or SECTIONS:
        async for figure in SECTIONS[name](options):
            found.append(figure)
            print(row(figure), flush=True)
    return found


def machine() -> dict[str, object]:
    """What it ran on, and with what."""
    server = subprocess.run([nats_server_binary(), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": server,
        "nats-py": version("nats-py"),
        "uvloop": version("uvloop"),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all of them if none is named"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="for each measurement")
    parser.add_argument("--tasks", type=int, default=100_000, help="in the log, for the section of that name")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    on = machine()
    print(", ".join(f"{name} {value}" for name, value in on.items()) + "\n", flush=True)
    found = uvloop.run(run(options))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"machine": on, "figures": found})))
    missed = [figure for figure in found if figure.met is False]
    print(f"\n{sum(figure.met is True for figure in found)} goals met, {len(missed)} missed")
    for figure in missed:
        print(f"  missed: {figure.section}, {figure.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
