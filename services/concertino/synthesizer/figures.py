"""Figures and names of code in a cited sentence that its quotes do not hold: that is where reports go wrong unseen.

Marked, never removed. Checked is what can be checked without understanding: figures against the quotes that the sentence cites,
their places, what is advised with them, and the request; names in code spans against all that was kept as evidence. A sum or a
difference stands in no quote, and is marked as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from concertino.contracts.messages import Evidence
from concertino.model import marks
from concertino.model.port import Exhibit
from concertino.synthesizer.numbers import figures, known

_CODE = re.compile(r"(?<![`\\])(`+)(?!`)(?P<code>.*?)(?<!`)\1(?!`)")
_LINK = re.compile(r"\]\([^)\s]*\)|https?://\S+")
_SENTENCE = re.compile(r"\S.*?(?:[.!?][\"'”’)*_]*(?=\s)|$)")
_NUMBERED = re.compile(r"\s*\d+[.)]\s")
_NAME = re.compile(r"[A-Za-z_]\w{2,}")
_ANYWHERE = {"none", "null", "nil", "true", "false", "undefined"}
"""Words of code that say what a reader of code may conclude."""


def marked(text: str, exhibits: Sequence[Exhibit], texts: Mapping[str, str | None], request: str) -> tuple[str, int]:
    """``text`` with a note in each sentence that says more than what it cites, and how many these are.

    ``texts`` maps the digests of evidence to what is kept under them.
    """
    by_id = {exhibit.id: exhibit for exhibit in exhibits}
    names = _folded(exhibits, texts, request)
    lines: list[str] = []
    count = 0
    for line, fenced in marks.lines(text):
        if not fenced:
            line, strange = _line(line, by_id, names, request)
            count += strange
        lines.append(line)
    return "\n".join(lines), count


def _folded(exhibits: Iterable[Exhibit], texts: Mapping[str, str | None], request: str) -> str:
    parts = {part for e in exhibits for part in (*_place(e.evidence), e.advice, texts.get(e.evidence.digest) or "")}
    return "\n".join((request, *parts)).casefold()


def _line(line: str, by_id: Mapping[str, Exhibit], names: str, request: str) -> tuple[str, int]:
    places = marks.places(line)
    if not places:
        return line, 0
    notes: list[tuple[int, str]] = []
    for start, end in _sentences(line):
        here = [(id_, b) for id_, a, b in places if start <= a < end]
        cited = [by_id[id_] for id_, _ in here if id_ in by_id]
        if cited and (strange := _strange(line[start:end], cited, names, request)):
            notes.append((here[-1][1], f" *(not in the quotes: {', '.join(strange)})*"))
    for at, note in reversed(notes):
        line = line[:at] + note + line[at:]
    return line, len(notes)


def _sentences(line: str) -> list[tuple[int, int]]:
    """Where each begins and ends. What stands in code or a link ends none."""
    numbered = _NUMBERED.match(line)
    hidden = _LINK.sub(_hide, _CODE.sub(_hide, line))
    return [found.span() for found in _SENTENCE.finditer(hidden, numbered.end() if numbered else 0)]


def _hide(found: re.Match[str]) -> str:
    return "x" * len(found[0])


def _strange(sentence: str, cited: Sequence[Exhibit], names: str, request: str) -> list[str]:
    """What stands in ``sentence`` and not where it says it has it from."""
    plain = _LINK.sub("", sentence)
    for _, start, end in reversed(marks.places(plain)):
        plain = plain[:start] + plain[end:]
    held = known("\n".join([request, *(part for e in cited for part in (*_place(e.evidence), e.advice))]))
    found = [figure.text for figure in figures(plain) if not held.holds(figure)]
    code = [name for span in _CODE.finditer(plain) for name in _NAME.findall(span["code"])]
    found += [f"`{name}`" for name in code if name.casefold() not in names and name.casefold() not in _ANYWHERE]
    return list(dict.fromkeys(found))


def _place(evidence: Evidence) -> Iterator[str]:
    """The quote, and where it stands."""
    locator = evidence.locator
    yield from (evidence.quote, evidence.source, evidence.root, locator.fragment or "", str(locator.page or ""))
    yield from (str(line) for line in locator.lines or ())
