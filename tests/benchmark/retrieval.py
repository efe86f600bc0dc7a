"""Finding things in a large real source tree, as the docs and the code worker do, against SQLite and ripgrep by themselves."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from evals.retrieval.corpus import corpus, default_cache, pins
from msgspec import structs
from tests.benchmark.effort import Effort
from tests.benchmark.figures import Figure, median

from concertino.code.code import Code
from concertino.contracts.messages import Source
from concertino.docs.corpus import Corpus
from concertino.retrieval.cache import Cache

TREE = "django"
QUERIES = (
    "prefetch related lookups",
    "session cookie age",
    "migration squash replaces",
    "csrf token rotate",
    "queryset union ordering",
)
PATTERNS = (r"def get_queryset\(", r"class \w+Middleware\b", r"prefetch_related_lookups")
RUNS = 5


async def figures(effort: Effort) -> AsyncIterator[Figure]:
    """The whole distribution to the code worker, its documentation to the docs worker; indexes begin empty."""
    if effort.tree is None:
        (pin,) = (pin for pin in pins() if pin.name == TREE)
        code = corpus(structs.replace(pin, kind="code", folder=""), default_cache()).root
        docs = corpus(pin, default_cache()).root
    else:
        code = docs = effort.tree
    with tempfile.TemporaryDirectory(prefix="concertino-bench-") as scratch:
        cache = Path(scratch)
        for kind, root in (("code", code), ("docs", docs)):
            baseline, files = _sqlite(cache / f"{kind}.db", root)
            began = time.perf_counter()
            opened: Code | Corpus
            if kind == "code":
                opened = await Code.open([Source(kind="code", location=str(root))], Cache(cache))
            else:
                opened = await Corpus.open(Source(kind="docs", location=str(root)), Cache(cache))
            took = time.perf_counter() - began
            yield Figure(f"{kind}: to index {files:,} files", took, "s", baseline, "SQLite's FTS5, whole files")
            began = time.perf_counter()
            if isinstance(opened, Code):
                await opened.close()
                opened = await Code.open([Source(kind="code", location=str(root))], Cache(cache))
            else:
                opened.close()
                opened = await Corpus.open(Source(kind="docs", location=str(root)), Cache(cache))
            yield Figure(f"{kind}: to open it again", time.perf_counter() - began, "s")
            search = _searching(opened)
            ours = [await _timed(search, query) for _ in range(RUNS) for query in QUERIES]
            theirs = [_query(cache / f"{kind}.db", query) for _ in range(RUNS) for query in QUERIES]
            yield Figure(f"{kind}: a query", median(ours), "ms", median(theirs), "SQLite's FTS5, whole files")
            if isinstance(opened, Code):
                greps = [await _timed(opened.grep, pattern) for _ in range(RUNS) for pattern in PATTERNS]
                rg = shutil.which("rg")
                base = median([_ripgrep(rg, pattern, root) for _ in range(RUNS) for pattern in PATTERNS]) if rg else None
                note = "" if rg else "no ripgrep here: Debian's package `ripgrep` has it"
                yield Figure("code: grep", median(greps), "ms", base, "ripgrep", note=note)
                await opened.close()
            else:
                opened.close()


def _searching(opened: Code | Corpus) -> Callable[[str], Awaitable[object]]:
    async def search(query: str) -> object:
        return await opened.search(query) if isinstance(opened, Code) else opened.search(query, 20)

    return search


async def _timed(call: Callable[[str], Awaitable[object]], asked: str) -> float:
    began = time.perf_counter()
    await call(asked)
    return (time.perf_counter() - began) * 1e3


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    for path in root.rglob("*"):
        if path.is_file():
            yield str(path), path.read_text(errors="replace")


def _sqlite(database: Path, root: Path) -> tuple[float, int]:
    """Seconds to put every file of ``root``, as it is, into a full-text table, and how many there are."""
    began = time.perf_counter()
    with sqlite3.connect(database) as connection:
        connection.execute("create virtual table files using fts5(path, text, tokenize='porter unicode61')")
        connection.executemany("insert into files values (?, ?)", _texts(root))
    took = time.perf_counter() - began
    (count,) = connection.execute("select count(*) from files").fetchone()
    connection.close()
    return took, count


def _query(database: Path, query: str) -> float:
    """Milliseconds for the best twenty."""
    connection = sqlite3.connect(database)
    began = time.perf_counter()
    words = " OR ".join(query.split())
    connection.execute("select path from files where files match ? order by bm25(files) limit 20", (words,)).fetchall()
    took = (time.perf_counter() - began) * 1e3
    connection.close()
    return took


def _ripgrep(rg: str, pattern: str, root: Path) -> float:
    """Milliseconds, its start included: that is how it is used."""
    began = time.perf_counter()
    subprocess.run([rg, "--max-count", "50", pattern, str(root)], stdout=subprocess.DEVNULL, check=False)
    return (time.perf_counter() - began) * 1e3
