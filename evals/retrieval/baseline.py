"""The yardstick: BM25 over chunks of 40 lines, over every text file of the source, with plain lower-cased words."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Set
from functools import cache
from pathlib import Path

from evals.retrieval.answerer import Citation, Reply
from evals.retrieval.corpus import Corpus
from evals.retrieval.text import read_text

CHUNK = 40
"""Lines."""
K1, B = 1.2, 0.75
CITED = 8

_WORD = re.compile(r"\w+")


_ENGLISH = """
a about after again all also an and any are as at be because been before but by can could did do does doing don down for
from had has have having how i if in into is isn it its just like ll me more most my no not now of off on once only or other
our out over own re s should so some such t than that the their them then there these they this those through to too up us
ve very was we were what when where which while who why will with would you your
"""
STOP_WORDS = frozenset(_ENGLISH.split())


class Baseline:
    """Never silent. The score of a reply is that of its best chunk: of several that were tried, the best to be silent by.

    ``without`` are words that are left out of the questions.
    """

    def __init__(self, name: str, without: Set[str] = frozenset()) -> None:
        self.name = name
        self._without = without

    async def prepare(self, corpus: Corpus) -> None:
        index_of(corpus.root)

    async def ask(self, question: str, corpus: Corpus) -> Reply:
        index = index_of(corpus.root)
        terms = [w for w in _words(question) if w not in self._without]
        ranked = index.rank(terms)[:CITED]
        return Reply(tuple(index.chunks[chunk] for chunk, _ in ranked), ranked[0][1] if ranked else 0.0)


class Index:
    """An inverted index of the chunks of one source."""

    def __init__(self, root: Path) -> None:
        self.chunks: list[Citation] = []
        self._postings: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._lengths: list[int] = []
        for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
            text = read_text(path)
            if text is not None:
                self._add(path.relative_to(root).as_posix(), text.split("\n"))
        self._average = sum(self._lengths) / max(1, len(self._lengths))

    def _add(self, path: str, lines: list[str]) -> None:
        for start in range(0, len(lines), CHUNK):
            piece = lines[start : start + CHUNK]
            counts = Counter(_words("\n".join(piece)))
            if not counts:
                continue
            for word, count in counts.items():
                self._postings[word][len(self.chunks)] = count
            self._lengths.append(counts.total())
            self.chunks.append(Citation(path, "\n".join(piece), (start + 1, start + len(piece))))

    def idf(self, word: str) -> float:
        holds = len(self._postings.get(word, ()))
        return math.log(1 + (len(self.chunks) - holds + 0.5) / (holds + 0.5))

    def rank(self, words: list[str]) -> list[tuple[int, float]]:
        """Chunks that hold any of ``words``, best first, with their scores."""
        scores: defaultdict[int, float] = defaultdict(float)
        for word in words:
            weight = self.idf(word)
            for chunk, count in self._postings.get(word, {}).items():
                length = K1 * (1 - B + B * self._lengths[chunk] / self._average)
                scores[chunk] += weight * count * (K1 + 1) / (count + length)
        return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


@cache
def index_of(root: Path) -> Index:
    """Made once for each source."""
    return Index(root)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
