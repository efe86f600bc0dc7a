"""Text to terms, alike for prose and code: ``max_retries``, ``maxRetries``, ``MaxRetries`` and ``max-retries`` share theirs."""

from __future__ import annotations

import re
import threading
from functools import lru_cache

import snowballstemmer  # type: ignore[import-untyped]

_WORD = re.compile(r"[^\W_]+(?:[_'’-]+[^\W_]+)*")
_PART = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_LONGEST = 64
"""Characters. Longer words are digests and encoded data, which nobody asks for."""

STOP_WORDS = frozenset(
    """
    a about above after again all also am an and any anyone anything are as at be because been before being below
    between both but by ca can cannot could did do does doing done down during each either else ever every few for from
    further get gets getting give given go goes going got had has have having he her here hers him his how however hows
    i if in into is it its itself just let like lot make makes me might more most much must my myself need needs neither
    no nor not now of off on once one only onto or other our out over own please quite rather really same say see shall
    she should so some somehow someone something still such take takes tell than that the their them themselves then
    there these they thing things this those though through thus to too under until up upon us use used uses using very
    via want wants was way ways we were what whatever whats when where whether which while who whom whose why will with wo
    although etc may maybe per perhaps till toward towards unless upon wherever whichever whoever
    within without would yes yet you your yours
    """.split()  # noqa: SIM905  (a list of words is read as words)
)
"""Words of questions that say nothing about what is asked. Dropped from queries only: an index keeps them."""


_CONTRACTED = re.compile(r"(?:n['’]t|['’](?:d|ll|s|re|ve|m))$")


def is_stop_word(word: str) -> bool:
    """Whether a lower-case word of a question says nothing about what is asked; contractions are like what they begin with."""
    return word in STOP_WORDS or _CONTRACTED.sub("", word) in STOP_WORDS


class _Local(threading.local):
    """A stemmer keeps the word it works on in itself: threads that shared one would stem each other's words."""

    def __init__(self) -> None:
        self.stemmer = snowballstemmer.stemmer("english")


_local = _Local()


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The stem of one lower-case word. Words with digits or of foreign scripts stay as they are."""
    if len(word) < 3 or not word.isascii() or not word.isalpha():
        return word
    return str(_local.stemmer.stemWord(word))


@lru_cache(maxsize=200_000)
def _terms_of(word: str) -> tuple[str, ...]:
    """The terms of one word: its parts, stemmed, and where there are several also the whole without separators."""
    if "'" in word or "’" in word:
        word = re.sub(r"['’](s|t|re|ve|ll|d|m)\b|['’]", "", word)
    found = _PART.findall(word) if word.isascii() else re.split("[_-]", word)
    parts = [p.lower() for p in found if p]
    terms = [stem(p) for p in parts]
    if len(parts) > 1:
        terms.append(stem("".join(parts)))
    return tuple(terms)


def terms(text: str) -> list[str]:
    """Every term of ``text`` in order, repeated as often as it stands there."""
    found: list[str] = []
    for word in _WORD.findall(text):
        if len(word) <= _LONGEST:
            found.extend(_terms_of(word))
    return found


def content_terms(text: str) -> list[str]:
    """The distinct terms of ``text`` in order, without stop words; none where it says nothing."""
    kept = [w for w in _WORD.findall(text) if not is_stop_word(w.lower())]
    return list(dict.fromkeys(terms(" ".join(kept))))


def query_terms(query: str) -> list[str]:
    """The distinct terms of a question, in order, without stop words; where nothing would be left, all of them."""
    return content_terms(query) or list(dict.fromkeys(terms(query)))
