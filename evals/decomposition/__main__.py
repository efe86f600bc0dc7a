"""``python -m evals.decomposition``: have fifty requests planned, and judge the plans."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import msgspec

if not __package__:  # started by its folder's path
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from concertino.contracts.errors import ConcertinoError
from concertino.contracts.subjects import PLAN
from concertino.model.choice import KEYS, has_key, model_for
from concertino.model.extractive import Extractive
from concertino.runtime import config
from concertino.runtime.settings import settings
from evals.decomposition.judge import Verdict, score
from evals.decomposition.planners import judged
from evals.decomposition.requests import Domain, faults, fleet, requests
from evals.decomposition.table import LEGEND, misses, table


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        return asyncio.run(_evaluate(options))
    except ConcertinoError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals.decomposition", description=__doc__)
    parser.add_argument("--rules", action="store_true", help="the rules alone, though there is a key")
    parser.add_argument("--only", choices=get_args(Domain), action="append", help="this domain alone (repeatable)")
    parser.add_argument("--misses", action="store_true", help="list the plans that are not good, and what is wrong with them")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write scores, verdicts and plans to FILE")
    return parser


async def _evaluate(options: argparse.Namespace) -> int:
    asked = tuple(r for r in requests() if not options.only or r.domain in options.only)
    kinds = fleet()
    if wrong := list(faults(asked, kinds)):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    rules = Extractive()
    verdicts: dict[str, list[Verdict]] = {
        "rules": await judged(rules, asked, kinds, _tell),
        "one each": await judged(rules, asked, kinds, _tell, effort="low"),
    }
    if not options.rules and has_key(os.environ):
        chosen = settings()
        model = model_for(PLAN, chosen, config.load(chosen.config))
        if model.name != rules.name:
            try:
                verdicts = {model.name: await judged(model, asked, kinds, _tell), **verdicts}
            finally:
                await model.close()
    scores = {name: score(of) for name, of in verdicts.items()}
    print(f"\n{table(scores)}\n\n{LEGEND}")
    if not has_key(os.environ):
        print(f"no key ({' or '.join(KEYS)}): no model was asked")
    if options.misses:
        for name, of in verdicts.items():
            print(f"\n{name}: not good\n{misses(of)}")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"scores": scores, "verdicts": verdicts})))
    return 0


def _tell(line: str) -> None:
    """On a terminal each line takes the place of the one before; elsewhere nobody waits for it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{' '.join(line.split())[:110]}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
