"""The forty questions, and the check that their gold answers really stand in the sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from evals.retrieval.corpus import Corpus
from evals.retrieval.text import read_text

QUESTIONS = Path(__file__).with_name("questions.toml")

Group = Mapping[str, tuple[str, ...]]
"""Files of which any one will do, each with literal snippets of the passages that answer."""


class Question(Struct, frozen=True):
    """``answer`` holds one group for each file that is needed; empty where the source has no answer."""

    source: str
    ask: str
    answer: tuple[Group, ...] = ()


class _Questions(Struct, frozen=True):
    question: tuple[Question, ...]


def questions() -> tuple[Question, ...]:
    return msgspec.toml.decode(QUESTIONS.read_bytes(), type=_Questions).question


def faults(asked: tuple[Question, ...], corpora: Mapping[str, Corpus]) -> Iterator[str]:
    """What is wrong with the gold: a source or file that is not there, a snippet that stands in no such file."""
    for question in asked:
        if question.source not in corpora:
            yield f"{question.ask!r}: there is no source {question.source!r}"
            continue
        for path, snippets in ((p, s) for group in question.answer for p, s in group.items()):
            text = read_text(corpora[question.source].root / path)
            if text is None:
                yield f"{question.ask!r}: {question.source} has no text file {path!r}"
                continue
            yield from (f"{question.ask!r}: {path} does not say {s!r}" for s in snippets if s not in text)
