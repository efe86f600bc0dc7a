"""What the machinery around the work costs: real services with their default settings, on a real server with file storage.

Run by ``make bench``. Beside every figure of speed stands what it is compared with, measured in turn in the same run: the
design's skeleton (:mod:`tests.benchmark.limit`), the bare bus, another size. Machines are noisy; ratios travel better.
``docs/performance.md`` says what the figures mean.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec
import uvloop
from msgspec import structs
from tests.benchmark import growth, idle, latency, processor, realistic, retrieval, throughput
from tests.benchmark.effort import QUICK, Effort
from tests.benchmark.figures import HEADER, Figure, row
from tests.benchmark.record import Section, machine, read, write

SECTIONS: Mapping[str, Callable[[Effort], AsyncIterator[Figure]]] = {
    "latency": latency.figures,
    "throughput": throughput.figures,
    "processor": processor.figures,
    "width": growth.width,
    "log": growth.log,
    "replicas": growth.replicas,
    "idle": idle.figures,
    "starts": idle.starts,
    "realistic": realistic.figures,
    "retrieval": retrieval.figures,
}


async def measured(name: str, effort: Effort) -> Section:
    """One section, each figure printed as it comes."""
    on, found = machine(), list[Figure]()
    print(f"\n{name}: {on.line}\n\n{HEADER}", flush=True)
    async for figure in SECTIONS[name](effort):
        found.append(figure)
        print(row(figure), flush=True)
    return Section(on, tuple(found))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all of them if none is named"
    )
    parser.add_argument("--seconds", type=float, help=f"for each measurement ({Effort().seconds:g})")
    parser.add_argument("--tasks", type=int, help=f"in the log, for the section of that name ({Effort().tasks})")
    parser.add_argument("--tree", type=Path, help="what retrieval looks into, instead of a release of Django")
    parser.add_argument("--json", type=Path, help="a file for the figures; sections in it that are not run stay")
    parser.add_argument("--quick", action="store_true", help="only see whether everything can be measured, in small")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are: {', '.join(SECTIONS)}")
    given = {name: getattr(options, name) for name in ("seconds", "tasks", "tree") if getattr(options, name) is not None}
    if any(not isinstance(value, Path) and not 0 < value < math.inf for value in given.values()):
        parser.error("--seconds and --tasks are numbers above 0")
    if options.tree and not options.tree.is_dir():
        parser.error(f"--tree {options.tree} is no folder")
    effort = structs.replace(QUICK if options.quick else Effort(), **given)
    try:
        record = read(options.json) if options.json else {}
        if options.json:
            write(options.json, record)
    except (OSError, msgspec.DecodeError) as e:
        parser.error(f"--json {options.json}: {e}")
    found: dict[str, Section] = {}
    for name in options.sections or SECTIONS:
        found[name] = uvloop.run(measured(name, effort))
        if options.json:
            write(options.json, {**record, **found})
    judged = [(name, figure) for name, section in found.items() for figure in section.figures if figure.met is not None]
    missed = [(name, figure) for name, figure in judged if not figure.met]
    print(f"\n{len(judged) - len(missed)} goals met, {len(missed)} missed")
    for name, figure in missed:
        print(f"  missed: {name}, {figure.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
