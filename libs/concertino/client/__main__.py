"""``python -m concertino.client REQUEST [KIND=LOCATION ...]``: submit a task, wait for its outcome, print it as JSON.

For probes and scripts in an image that holds no command line. Exits with 0 for an answer, 3 for a part of one, 1 otherwise.
"""

from __future__ import annotations

import asyncio
import sys

from concertino.client.client import Client
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import OutcomeStatus, Source
from concertino.telemetry.export import exporting

_EXITS = {OutcomeStatus.ANSWERED.value: 0, OutcomeStatus.PARTIAL.value: 3}


async def _ask(request: str, sources: list[Source]) -> int:
    async with Client() as client:
        task = await client.ask(request, sources=sources)
    sys.stdout.write(task.to_json().decode() + "\n")
    return _EXITS.get(task.status, 1)


def main(arguments: list[str]) -> int:
    """The exit status."""
    named = [argument.partition("=") for argument in arguments[1:]]
    if not arguments or any(not location for _, _, location in named):
        sys.stderr.write("usage: python -m concertino.client REQUEST [KIND=LOCATION ...]\n")
        return 2
    try:
        with exporting("client"):
            return asyncio.run(_ask(arguments[0], [Source(kind=kind, location=location) for kind, _, location in named]))
    except ConcertinoError as e:
        sys.stderr.write(f"{e}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
