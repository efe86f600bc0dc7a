"""What a quote shows, in one honest sentence, and what was looked for in vain."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping

from concertino.contracts.messages import Passage
from concertino.model.extractive.excerpt import excerpt
from concertino.model.extractive.lens import Lens
from concertino.model.extractive.query import Question
from concertino.model.port import Claim, Quote
from concertino.retrieval.tokens import terms

_LONGEST = 200
"""Characters of a sentence that is repeated in a claim."""
_NAMES = 3
_QUALITY = {"definition": 0.9, "text": 0.85, "example": 0.6, "data": 0.6, "changelog": 0.5, "test": 0.5, "generated": 0.4}
_DOCSTRING = re.compile(r'[rRuUbB]?("""|\'\'\')(?P<text>.*?)(\1|$)', re.DOTALL)
_COMMENT = re.compile(r"^\s*(?:///?!?|#+!?(?!\[)|/\*+|\*+/?)[ \t]?")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'“(]?[A-Z])")
_BULLET = re.compile(r"^\s*(?:[-*+•>]|\(?\d{1,3}[.)])\s+")
_SILENT = re.compile(r"\s*(?:\.\. |[`~:]{3,}|>>> |\$ |\||:\w[\w -]*:\s|\{eval-rst\}|<!--|[^\w\s]{3,}\s*$)|\s{4,}\S")
"""Lines that are no sentences: directives, fences, prompts, tables, fields, adornments, indented code."""
_IMPORT = re.compile(r"(?:import|from) \w[\w.]*(?: import\b| as\b|,| import$|$)")
"""What stands before a docstring is taken for one where a passage begins inside of a longer one."""
_MARKUP = re.compile(r":[\w:-]+:`~?([^`<]*?)(?:\s*<[^`>]*>)?`|`{1,2}([^`]*)`{1,2}_?|\*\*([^*]+)\*\*|!?\[([^\]]*)\]\([^)]*\)")


def claim_of(passage: Passage, lens: Lens, confidence: float) -> Claim:
    """The claim that ``passage`` says what was asked, with the lines that do."""
    quote = excerpt(passage, lens)
    return Claim(
        claim=_sentence(passage, quote, lens),
        quotes=(Quote(passage.source, quote, passage.root),),
        quality=_QUALITY[passage.role],
        confidence=round(min(max(confidence, 0.0), 1.0), 3),
    )


def _sentence(passage: Passage, quote: str, lens: Lens) -> str:
    where = f"`{passage.source}`"
    if passage.language:
        verb = {"definition": "defines", "test": "tests with"}.get(passage.role, "has")
        what = f"{where} {verb} `{_named(passage.title, lens)}`" if passage.title else f"{where} has this"
        about = _documentation(passage.text)
    else:
        page = f" on page {passage.locator.page}" if passage.locator.page else ""
        what = f"{where} says{page} under “{passage.title}”" if passage.title else f"{where} says{page}"
        about = best_sentence(quote, lens) or _best_row(quote, lens)
    return f"{what}: {about}" if about else f"{what}."


def _named(title: str, lens: Lens) -> str:
    """Of a passage that defines several things, those that are asked for; else the first few."""
    names = title.split(", ")
    wanted = [name for name in names if lens.share(lens.held(terms(name)))]
    return "`, `".join((wanted or names)[:_NAMES])


def _documentation(code: str) -> str:
    """The first sentence of a docstring, else of the comment that heads the code."""
    match = _DOCSTRING.search(code)
    if match and _opens(code[: match.start()]):
        return first_sentence(inspect.cleandoc(match["text"]))
    comment: list[str] = []
    for line in code.split("\n"):
        if not _COMMENT.match(line):
            break
        comment.append(_COMMENT.sub("", line).removesuffix("*/").strip())
    return first_sentence("\n".join(comment))


def _opens(before: str) -> bool:
    """Whether quotes after ``before`` open a docstring: a passage cut out of a function may hold the closing ones alone."""
    last = next((line for line in reversed(before.split("\n")) if line.strip() and not _COMMENT.match(line)), "")
    return not last.strip() or last.rstrip().endswith(":")


def first_sentence(text: str) -> str:
    """The first sentence of ``text`` on one line, markup taken off, at most _LONGEST characters; code and marks left out."""
    return next(_sentences(text), "")


def best_sentence(text: str, lens: Lens) -> str:
    """The sentence of ``text`` that holds most of the question, the first of equals, as :func:`first_sentence` gives it."""
    return max(_sentences(text), key=lambda sentence: lens.share(lens.held(terms(sentence))), default="")


def _best_row(text: str, lens: Lens) -> str:
    """The row of a table in ``text`` that holds most of the question, its cells apart; empty where there is no table."""
    rows = [line.strip().strip("|") for line in text.split("\n") if line.strip().startswith("|") and re.search(r"\w", line)]
    row = max(rows, key=lambda row: lens.share(lens.held(terms(row))), default="")
    plain = _MARKUP.sub(lambda m: next((g for g in m.groups() if g), ""), row)
    cells = [cell.strip() for cell in plain.split("|")]
    return " · ".join(cell for cell in cells if cell)[:_LONGEST]


def _sentences(text: str) -> Iterator[str]:
    paragraph: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip() and not _SILENT.match(line):
            paragraph.append(_BULLET.sub("", line))
            continue
        plain = _MARKUP.sub(lambda m: next((g for g in m.groups() if g), ""), " ".join(paragraph))
        for sentence in _SENTENCE.split(" ".join(plain.split())):
            if sentence and not _IMPORT.match(sentence):
                yield sentence if len(sentence) <= _LONGEST else sentence[:_LONGEST].rsplit(" ", 1)[0] + " …"
        paragraph = []


def gap_of(question: Question, known: Mapping[str, int]) -> str:
    """That nothing was found, with what was looked for, and which of its words the sources never use."""
    asked = ", ".join(f"“{c.word}”" for c in question.concepts)
    unknown = [c.word for c in question.concepts if not any(known.get(t) for t, worth in c.terms.items() if worth >= 0.5)]
    never = f"; they never mention {', '.join(f'“{w}”' for w in unknown)}" if unknown else ""
    return f"The sources hold nothing that answers “{question.text.strip()}”: searched for {asked or 'it'}{never}."
