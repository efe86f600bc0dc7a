"""Markdown, reStructuredText, AsciiDoc and plain text: literal lines."""

from __future__ import annotations

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Passage
from concertino.retrieval.chunk import passages
from concertino.retrieval.decode import decode


def read(source: str, data: bytes) -> list[Passage]:
    """Sections with their lines. :class:`SourceError` where ``data`` is not text."""
    return passages(source, text_of(data))


def text_of(data: bytes) -> str:
    """``data`` as text with ``\\n`` line ends; :class:`SourceError` where it is binary."""
    text = decode(data)
    if text is None:
        raise SourceError("it is not text, whatever its name says: export it as text, Markdown, HTML or PDF")
    return text
