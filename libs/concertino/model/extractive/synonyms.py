"""What people call things, and what code and documentation call them: general English only, nothing of any one package.

The tables are ``words/*.txt``, one topic each, with four kinds of lines::

    resume: continue restart unpause       who says the word may mean the others, the closest first
    time limit: timeout deadline           so may who says these words in a row; they keep their own meaning
    carry on -> continue resume proceed    an idiom: it has little to do with the words it is made of
    threw thrown = throw                   other forms of one word

``_`` in an idiom stands for up to three words: ``put _ back`` is also said by "put the letters back".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files

from msgspec import Struct

from concertino.retrieval.tokens import stem, terms

CLOSE, NEAR = 0.8, 0.6
"""What a related word is worth beside the word itself: the first few of a line, and those after them."""
BACK = 0.6
"""Of that, where it is read the other way round: who says ``continue`` may mean what is called ``resume``."""
_CLOSEST = 4
_GAP = "_"
_WIDEST = 3


class Phrase(Struct, frozen=True):
    """Words in a row, as stems, and the terms that they stand for. ``idiom``: the words themselves mean little."""

    words: tuple[str, ...]
    terms: tuple[str, ...]
    idiom: bool


class Found(Struct, frozen=True):
    """A phrase at the places of a question that its words stand on."""

    phrase: Phrase
    places: tuple[int, ...]


def related(term: str) -> Mapping[str, float]:
    """Terms that may stand where a question says ``term`` (all stemmed), and how much of it each is worth."""
    return _tables()[0].get(term, {})


def forms(term: str) -> Sequence[str]:
    """Other stems of the same word, its base form first: those of ``thrown`` are ``throw`` and ``threw``."""
    base = _irregular().get(term, term)
    return [form for form in _irregular_forms().get(base, ()) if form != term]


def phrases_in(words: Sequence[str]) -> list[Found]:
    """The phrases among ``words`` (lower case, in order), none overlapping another; the longer goes first, then the denser."""
    stems = [_base(word) for word in words]
    found: list[Found] = []
    taken: set[int] = set()
    for start in range(len(stems)):
        if start in taken:
            continue
        matches = [Found(p, at) for p in _tables()[1].get(stems[start], ()) if (at := _match(p.words, stems, start))]
        free = [match for match in matches if taken.isdisjoint(match.places)]
        if free:
            best = min(free, key=lambda match: (-len(match.places), match.places[-1]))
            found.append(best)
            taken.update(best.places)
    return found


def _match(pattern: Sequence[str], stems: Sequence[str], start: int) -> tuple[int, ...]:
    places: list[int] = []
    at, gap = start, 0
    for word in pattern:
        if word == _GAP:
            gap = _WIDEST
            continue
        here = next((i for i in range(at, min(at + gap + 1, len(stems))) if stems[i] == word), None)
        if here is None:
            return ()
        places.append(here)
        at, gap = here + 1, 0
    return tuple(places)


@cache
def _tables() -> tuple[Mapping[str, Mapping[str, float]], Mapping[str, Sequence[Phrase]]]:
    """Relatives of single words, and phrases by their first word."""
    relatives: dict[str, dict[str, float]] = {}
    phrases: dict[tuple[str, ...], Phrase] = {}
    for said, meant, idiom in _lines():
        words = tuple(_base(word) for word in said.split())
        if len(words) > 1:
            before = phrases[words].terms if words in phrases else ()
            phrases[words] = Phrase(words, tuple(dict.fromkeys((*before, *meant))), idiom)
            continue
        for i, other in enumerate(meant):
            worth = CLOSE if i < _CLOSEST else NEAR
            if other != words[0]:
                for one, another, value in ((words[0], other, worth), (other, words[0], worth * BACK)):
                    row = relatives.setdefault(one, {})
                    row[another] = max(row.get(another, 0.0), value)
    by_first: dict[str, list[Phrase]] = {}
    for phrase in phrases.values():
        by_first.setdefault(phrase.words[0], []).append(phrase)
    return relatives, by_first


def _base(word: str) -> str:
    return _irregular().get(stem(word), stem(word))


@cache
def _irregular() -> Mapping[str, str]:
    """Base forms, by the forms that do not look like them."""
    return {
        stem(form): stem(base)
        for line in _text()
        for left, sep, base in [line.partition(" = ")]
        if sep
        for form in left.split()
    }


@cache
def _irregular_forms() -> Mapping[str, Sequence[str]]:
    """All forms by the base form, which is the first of them."""
    found: dict[str, list[str]] = {}
    for form, base in _irregular().items():
        found.setdefault(base, [base]).append(form)
    return found


def _lines() -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """What is said, the terms that are meant, and whether it is an idiom."""
    for line in _text():
        idiom = " -> " in line
        said, related, meant = line.partition(" -> " if idiom else ": ")
        if related:
            yield said, tuple(dict.fromkeys(terms(word)[-1] for word in meant.split())), idiom


@cache
def _text() -> Sequence[str]:
    folder = files(__package__).joinpath("words")
    read = [file.read_text(encoding="utf-8") for file in sorted(folder.iterdir(), key=lambda file: file.name)]
    return [line for text in read for line in text.splitlines() if line and not line.startswith("#")]
