"""PDF: the text of each page, under the bookmark that it falls under."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from pypdf import PdfReader
from pypdf.errors import DependencyError

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Locator, Passage
from concertino.documents.readers.sections import SEPARATOR, pack
from concertino.retrieval.roles import role_of

MOST_PAGES = 5_000
MOST_SECONDS = 120.0
"""For one document. A page in progress is finished: this bounds long documents, not a page made to hang."""

_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"} | {"\xad": "", "\0": "", "\xa0": " "}
)
_HYPHENATED = re.compile(r"(\w+)-\n(\w+)(\S*) ?")
_WORD = re.compile(r"\w+")


def read(source: str, data: bytes, *, clock: Callable[[], float] = time.monotonic) -> list[Passage]:
    """One or more passages a page, whose locator is the page counted from 1.

    :class:`SourceError` where the document is encrypted, broken, too long, or holds pictures of text only.
    """
    try:
        document = _open(data)
        texts = _texts(document, clock)
        titles = _titles(document, len(texts))
    except SourceError:
        raise
    except (DependencyError, NotImplementedError) as e:
        raise SourceError(f"it is made in a way that is not read here ({_line(e)}): print it to a new PDF") from e
    except Exception as e:
        raise SourceError(f"it is a broken PDF ({_line(e)}): open it in a viewer and save it anew") from e
    if not any(texts):
        raise SourceError("it is a PDF without text, such as a scan: run it through OCR first")
    words = {word.lower() for text in texts for word in _WORD.findall(text)}
    role = role_of(source)
    return [
        Passage(source=source, text=piece, locator=Locator(page=number), title=title, role=role)
        for number, (text, title) in enumerate(zip(texts, titles, strict=True), 1)
        for piece in pack(_paragraphs(_joined(text, words)))
    ]


def _open(data: bytes) -> PdfReader:
    document = PdfReader(BytesIO(data), strict=False)
    if document.is_encrypted and not document.decrypt(""):
        raise SourceError("it is encrypted: save it without a password")
    if len(document.pages) > MOST_PAGES:
        raise SourceError(f"it has {len(document.pages)} pages, over the limit of {MOST_PAGES}: split it")
    return document


def _texts(document: PdfReader, clock: Callable[[], float]) -> list[str]:
    end = clock() + MOST_SECONDS
    texts: list[str] = []
    for page in document.pages:
        if clock() > end:
            raise SourceError(f"reading it took over {MOST_SECONDS:.0f} s, up to page {len(texts)}: split it")
        texts.append(page.extract_text().translate(_LIGATURES).strip())
    return texts


def _titles(document: PdfReader, pages: int) -> list[str]:
    """The bookmark path that each page stands under; before the first one, the title of the document."""
    metadata = document.metadata
    title = str(metadata.title or "").translate(_LIGATURES).strip() if metadata else ""
    titles = [""] * pages
    for number, path in _bookmarks(document, document.outline, ()):
        if 0 <= number < pages and not titles[number]:
            titles[number] = SEPARATOR.join(path)
    for number in range(pages):
        titles[number] = title = titles[number] or title
    return titles


def _bookmarks(document: PdfReader, outline: Iterable[Any], above: tuple[str, ...]) -> list[tuple[int, tuple[str, ...]]]:
    """Page (from 0) and heading path of every bookmark. A list after a bookmark holds those below it."""
    found: list[tuple[int, tuple[str, ...]]] = []
    path = above
    for item in outline:
        if isinstance(item, list):
            found.extend(_bookmarks(document, item, path))
        else:
            path = (*above, str(item.title or "").translate(_LIGATURES).strip())
            number = document.get_destination_page_number(item)
            if number is not None:
                found.append((number, path))
    return found


def _joined(text: str, words: set[str]) -> str:
    """Words broken at a line end made whole, where the whole word stands elsewhere in the document too."""

    def join(match: re.Match[str]) -> str:
        whole = match[1] + match[2]
        return f"{whole}{match[3]}\n" if whole.lower() in words else match[0]

    return _HYPHENATED.sub(join, text)


def _paragraphs(text: str) -> list[str]:
    return [block.strip("\n") for block in re.split(r"\n[ \t]*\n", text) if block.strip()]


def _line(e: BaseException) -> str:
    return " ".join(str(e).split())[:120] or type(e).__name__
