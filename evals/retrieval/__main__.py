"""``python -m evals.retrieval``: fetch the sources, ask the questions, print the table."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

if not __package__:  # started by its folder's path
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from concertino.contracts.errors import ConcertinoError
from evals.retrieval.answerer import Answerer
from evals.retrieval.baseline import STOP_WORDS, Baseline
from evals.retrieval.corpus import corpus, default_cache, pins
from evals.retrieval.direct import direct
from evals.retrieval.fleet import product
from evals.retrieval.judge import Verdict, score
from evals.retrieval.questions import faults, questions
from evals.retrieval.run import ask_all, best_threshold, judge_all
from evals.retrieval.table import LEGEND, misses, table


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        return asyncio.run(_evaluate(options))
    except ConcertinoError as e:
        print(f"error: {e}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals.retrieval", description=__doc__)
    parser.add_argument("--nats", metavar="URL", help="ask a running installation; default: start one")
    parser.add_argument("--direct", action="store_true", help="no bus: tools and model in this process")
    parser.add_argument("--only", choices=[p.name for p in pins()], action="append", help="this source alone (repeatable)")
    parser.add_argument("--baseline", action="store_true", help="the baseline alone")
    parser.add_argument("--check", action="store_true", help="check the gold answers against the sources, and ask nothing")
    parser.add_argument("--misses", action="store_true", help="list what went wrong, question by question")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write scores and verdicts to FILE")
    parser.add_argument("--cache", metavar="DIR", type=Path, default=default_cache(), help="for sources (%(default)s)")
    return parser


async def _evaluate(options: argparse.Namespace) -> int:
    wanted = [pin for pin in pins() if not options.only or pin.name in options.only]
    corpora = {}
    for pin in wanted:
        _tell(f"fetching {pin.name} {pin.version}")
        corpora[pin.name] = corpus(pin, options.cache)
    asked = tuple(q for q in questions() if not options.only or q.source in options.only)
    if wrong := list(faults(asked, corpora)):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    if options.check:
        print(f"{len(asked)} questions, and every gold snippet stands where it should")
        return 0

    verdicts: dict[str, list[Verdict]] = {}
    async with _answerer(options) as answerer:
        if answerer:
            verdicts[answerer.name] = judge_all(await ask_all(answerer, asked, corpora, _tell), corpora)
    for baseline in (Baseline("BM25"), Baseline("BM25-stop", STOP_WORDS)):
        ranked = await ask_all(baseline, asked, corpora, _tell)
        verdicts[baseline.name] = judge_all(ranked, corpora)
        verdicts[f"{baseline.name}+silence"] = judge_all(ranked, corpora, best_threshold(ranked, corpora))
    scores = {name: score(of) for name, of in verdicts.items()}

    print(f"\n{table(scores)}\n\n{LEGEND}")
    if options.misses:
        for name, of in verdicts.items():
            print(f"\n{name}: wrong\n{misses(of)}")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"scores": scores, "verdicts": verdicts})))
    return 0


@asynccontextmanager
async def _answerer(options: argparse.Namespace) -> AsyncIterator[Answerer | None]:
    if options.baseline:
        yield None
    elif options.direct:
        async with direct(options.cache / "indexes") as workers:
            yield workers
    else:
        async with product(options.nats, _tell) as concertino:
            yield concertino


def _tell(line: str) -> None:
    """On a terminal each line takes the place of the one before."""
    start, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
    print(f"{start}{line[:110]}", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
