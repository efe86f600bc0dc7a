"""A question as a person asks it, taken apart: what it is about, in the words it may go by in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from concertino.model.extractive.asked import Asked, asked_for
from concertino.model.extractive.synonyms import CLOSE, Found, phrases_in, related
from concertino.model.extractive.synonyms import forms as other_forms
from concertino.retrieval.tokens import is_stop_word, stem, terms
from concertino.retrieval.wanted import alternatives

_WORD = re.compile(r"[^\W_]+(?:[_.'’-]+[^\W_]+)*(?:\(\))?")
_IDENTIFIER = re.compile(r"[a-z]+[A-Z]|_|\(\)|\w\.[a-z]|^[A-Z][a-z]+[A-Z]")
_SPLIT = re.compile(
    r"[?;]\s+|,?\s+(?:and|but|or)\s+(?=(?:also\s+)?(?:how|where|what|which|who|when|why|does|do|is|are|can)\b)|,\s+(?=how|where|what|which)"
)
_SENTENCE = re.compile(r"[.!?;](?=\s)\s*")
_ASKS = re.compile(
    r"\?\s*$|^\W*(?:how|what|where|which|who|whose|when|why|does|do|is|are|can|could|will|tell me|explain|find)\b", re.I
)
_REMARK = re.compile(r"(?<=\w)\??\s+\([^()]*\)\s*$")
"""What stands in brackets at the end is context of the question, and not what is asked."""
VAGUE = frozenset(
    stem(word)
    for word in """
    happen happens default work handle handled deal implement implementation library code source project package framework tool
    product thing stuff way kind sort part place piece point case example explain describe mean meaning tell know
    understand find look learn try want like certain different own real good best right new old big small whole
    actually exactly possible able people someone person user users one two first last next number side against
    another known together else apart away back ahead forth halfway everything nothing anymore enough huge large
    tiny little long short few lots three four half entire current favourite favorite stranger friend everybody
    nobody honour honor respect bother care matter expect expected come comes came coming turn turned turns bring
    brought put puts stay stays stand stands seem seems become becomes let fit fits involved concerned related
    relevant main general common usual normal typical special particular specific suitable proper idea question
    information detail overview python across along among around already always never often usually instead well certain sure
    kindly somewhere everywhere nowhere mine yourself myself others ones
    """.split()  # noqa: SIM905  (a list of words is read as words)
)
"""Words that carry little: a passage is not about what was asked because it says ``handle`` or ``different``."""


_OTHERS = {("another",), ("other",), ("similar",), ("any",), ("some",)}
VAGUE_WEIGHT = 0.35
_NAME = 1.3
_PHRASE = 0.8
_AROUND = 0.5
_STORY = 0.6
"""Weights beside 1 for a content word. The last three are for a phrase of words that each say
nothing, as "how many"; for what an earlier question was about; and, by which all is multiplied, for what a story leads up to
the question with."""
_MEANT, _LITERAL = 0.8, 0.4
"""What an idiom's meaning is worth, and what the words are that it is made of."""


class Concept(Struct, frozen=True):
    """One thing that a question speaks of. ``terms`` are the terms it may stand as, with what each is worth (at most 1)."""

    word: str
    terms: dict[str, float]
    weight: float
    """How much it matters, before its rarity: 1 for a content word, less for a vague one, more for a name."""
    named: bool
    """An identifier or a proper name: where a source does not know it, the source cannot answer."""


class Question(Struct, frozen=True):
    """``parts`` are questions of their own where several were asked in one sentence."""

    text: str
    concepts: tuple[Concept, ...]
    parts: tuple[Question, ...] = ()

    @property
    def asked(self) -> Asked:
        """The kinds of material that it asks for by name."""
        return asked_for(self.text)

    @property
    def plain(self) -> str:
        """The words as asked, without those that say nothing."""
        return " ".join(concept.word for concept in self.concepts)

    @property
    def expanded(self) -> str:
        """Every term that any concept may stand as, weighed, as alternatives of one search."""
        return " ".join(alternatives(concept.terms, min(concept.weight, 1.0)) for concept in self.concepts)


def understand(text: str, context: str = "") -> Question:
    """What ``text`` asks for. ``context`` says what "it" and "that" may refer to; its words count little beside the others."""
    whole = _question(text)
    pieces = [_question(piece) for piece in _SPLIT.split(text) if piece.strip()]
    parts = tuple(piece for piece in pieces if len(piece.concepts) >= 2)
    asked = {term for concept in whole.concepts for term in concept.terms}
    around = tuple(
        Concept(c.word, c.terms, min(c.weight, _AROUND), named=False)
        for c in _question(context).concepts
        if asked.isdisjoint(t for t, worth in c.terms.items() if worth >= 1)
    )
    return Question(text, whole.concepts + around, parts if len(parts) > 1 else ())


def _question(text: str) -> Question:
    words = [(m[0], m.start()) for m in _WORD.finditer(text)]
    lower = [w.lower().replace("’", "'") for w, _ in words]
    found = phrases_in(lower)
    idioms = {place: item for item in found if item.phrase.idiom for place in item.places}
    meant = {place: item.phrase.terms for item in found if not item.phrase.idiom for place in item.places}
    kept = [i for i, word in enumerate(lower) if i not in idioms and len(word) > 1 and not is_stop_word(word)]
    remark = _REMARK.search(text)
    context = remark.start() if remark else len(text)
    names = {i for i in kept if any(c.isupper() for c in words[i][0]) and not _starts_sentence(text, words[i][1])}
    if sum(word[0].isupper() for word, _ in words) * 2 > len(words):
        names = set()  # Every Word of a Heading Has a Capital
    concepts: dict[str, Concept] = {}
    story = _story(text)
    for i, word in enumerate(lower):
        told = any(start <= words[i][1] < end for start, end in story)
        if i in idioms:
            concept = _idiom(idioms[i], lower)
            concepts.setdefault(concept.word, _told(concept) if told else concept)
        elif i in kept:
            concept = _concept(words[i][0], named=i in names, aside=words[i][1] > context or _is_aside(lower, i))
            for joined in (lower[i - 1] + word if i - 1 in kept else "", word + lower[i + 1] if i + 1 in kept else ""):
                if joined.isalnum():
                    concept.terms.setdefault(stem(joined), 1.0)
            for term in meant.get(i, ()):
                concept.terms.setdefault(term, CLOSE)
            concepts.setdefault(stem(word), _told(concept) if told else concept)
    for item in found:
        if not item.phrase.idiom and not any(place in kept for place in item.places):
            concepts.setdefault(item.phrase.terms[0], _silent(item, lower))
    return Question(text, tuple(concepts.values()))


def _story(text: str) -> list[tuple[int, int]]:
    """Where the sentences stand that only tell what led to the question: from, to. None where nothing is asked outright."""
    ends = [match.end() for match in _SENTENCE.finditer(text)]
    spans = list(zip([0, *ends], [*ends, len(text)], strict=True))
    told = [(start, end) for start, end in spans if not _ASKS.search(text[start:end])]
    return told if len(told) < len(spans) else []


def _told(concept: Concept) -> Concept:
    return replace(concept, weight=concept.weight * _STORY, named=False)


def _idiom(found: Found, lower: Sequence[str]) -> Concept:
    """One thing, that goes by what the idiom means rather than by the words that it is made of."""
    said = [lower[place] for place in found.places]
    forms = {stem(word): _LITERAL for word in said if not is_stop_word(word) and not is_vague(word)}
    forms |= dict.fromkeys(found.phrase.terms, _MEANT)
    return Concept(" ".join(said), forms, 1.0, named=False)


def _silent(found: Found, lower: Sequence[str]) -> Concept:
    """A phrase of words that each say nothing, as "how many"."""
    said = " ".join(lower[place] for place in found.places)
    return Concept(said, dict.fromkeys(found.phrase.terms, _MEANT), _PHRASE, named=False)


def _concept(word: str, *, named: bool, aside: bool) -> Concept:
    identifier = bool(_IDENTIFIER.search(word))
    own = terms(word)
    forms = dict.fromkeys(own[-1:] if identifier else own, 1.0)
    for term in own:
        forms.setdefault(term, 0.5)
        same = other_forms(term)
        forms |= dict.fromkeys(same, forms[term])
        for form in (term, *same[:1]):
            for other, worth in related(form).items():
                forms[other] = max(forms.get(other, 0.0), worth)
    named = not aside and (identifier or (named and not is_vague(word)))
    weight = _NAME if named else VAGUE_WEIGHT if aside or is_vague(word) else 1.0
    return Concept(word, forms, weight, named)


def _starts_sentence(text: str, position: int) -> bool:
    before = text[:position].rstrip(" \t\"'“‘(*`")
    return not before or before[-1] in ".?!:;\n•-"


def _is_aside(lower: Sequence[str], i: int) -> bool:
    """Whether the word only stands for others of its kind: "Tor or another proxy", "a language such as German"."""
    follows, precedes = tuple(lower[i + 1 : i + 3]), tuple(lower[max(i - 2, 0) : i])
    return (follows[:1] == ("or",) and follows[1:] in _OTHERS) or precedes in {
        ("such", "as"),
        ("for", "instance"),
        ("for", "example"),
    }


def is_vague(word: str) -> bool:
    """Whether a passage is not about what was asked just because it says ``word``; adverbs of manner are like that too."""
    return stem(word.lower()) in VAGUE or (word.endswith("ly") and len(word) > 5)
