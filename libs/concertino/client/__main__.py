"""``python -m concertino.client REQUEST [KIND=LOCATION ...]``: submit a task, wait for its outcome, print it as JSON.

For probes and scripts in an image that holds no command line. Exits with 0 for an answer, 3 for a part of one, 2 for wrong
usage, 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

import msgspec

from concertino.client.client import Client
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import OutcomeStatus, Source
from concertino.runtime.settings import settings
from concertino.telemetry import logs
from concertino.telemetry.export import exporting

_EXITS = {OutcomeStatus.ANSWERED.value: 0, OutcomeStatus.PARTIAL.value: 3}


async def _ask(request: str, sources: list[Source]) -> int:
    async with Client() as client:
        task = await client.ask(request, sources=sources)
    sys.stdout.write(task.to_json().decode() + "\n")
    return _EXITS.get(task.status, 1)


def _source(text: str) -> Source:
    kind, _, location = text.partition("=")
    try:
        return msgspec.convert({"kind": kind, "location": location}, Source)
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is no KIND=LOCATION, as in docs=/srv/manual") from None


def main(arguments: list[str]) -> int:
    """The exit status. Raises :class:`SystemExit` where it was called wrongly (2), or for its ``--help`` (0)."""
    parser = argparse.ArgumentParser(
        prog="python -m concertino.client",
        description="Submit a task, wait for its outcome, and print it as JSON.",
        epilog="The bus is CTN_NATS_URL. Exits with 0 for an answer, 3 for a part of one, 2 for wrong usage, 1 otherwise.",
        allow_abbrev=False,
    )
    parser.add_argument("request", metavar="REQUEST", help="what you want to know; write -- before one that begins with a dash")
    parser.add_argument("sources", metavar="KIND=LOCATION", nargs="*", type=_source, help="what to read: docs=FOLDER, code=URL")
    asked = parser.parse_args(arguments)
    try:
        config = settings()
        # Standard output is for the outcome, and standard error for what went wrong, unless somebody wants to look into it.
        logs.configure("client", config.log_level if "CTN_LOG_LEVEL" in os.environ else "error", config.log_format)
        with exporting("client"):
            return asyncio.run(_ask(asked.request, asked.sources))
    except ConcertinoError as e:
        sys.stderr.write(f"{e}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
