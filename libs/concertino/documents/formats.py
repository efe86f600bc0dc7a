"""Which reader reads what: by suffix, by content type, else by a look at the first bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Passage
from concertino.documents.readers import docx, html, notebook, openapi, pdf, text
from concertino.retrieval.decode import decode

Reader = Callable[[str, bytes], list[Passage]]
"""Takes the name that passages will carry, and the bytes; raises :class:`SourceError`, whose text goes on after the name."""

VERSION = "2"
"""Of everything that turns bytes into passages. Raise it with any change that shows, so that kept indexes are made anew."""

READERS: Mapping[str, Reader] = {
    **dict.fromkeys((".md", ".markdown", ".mdx", ".mkd", ".qmd", ".rmd"), text.read),
    **dict.fromkeys((".rst", ".rest", ".txt", ".text", ".adoc", ".asciidoc", ".org"), text.read),
    **dict.fromkeys((".html", ".htm", ".xhtml"), html.read),
    **dict.fromkeys((".yaml", ".yml", ".json"), openapi.read),
    ".pdf": pdf.read,
    ".docx": docx.read,
    ".ipynb": notebook.read,
}

SUFFIX_OF: Mapping[str, str] = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/x-ipynb+json": ".ipynb",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/x-rst": ".rst",
    "text/prs.fallenstein.rst": ".rst",
    **dict.fromkeys(("application/json", "application/openapi+json", "application/vnd.oai.openapi+json"), ".json"),
    **dict.fromkeys(("application/yaml", "application/x-yaml", "text/yaml", "application/vnd.oai.openapi"), ".yaml"),
}
"""Content types that say what they are. For others (``text/plain``, ``application/octet-stream``) name or bytes decide."""

_UNREAD: Mapping[str, str] = {
    **dict.fromkeys((".doc", ".odt", ".rtf", ".pages", ".docm"), ".docx or PDF"),
    **dict.fromkeys((".ppt", ".pptx", ".odp", ".key", ".epub", ".djvu", ".ps"), "PDF"),
    **dict.fromkeys((".xls", ".xlsx", ".ods"), "PDF or text"),
}
"""Documents that people keep and this worker does not read, and what to save them as."""

_NO_DOCUMENTS = frozenset({"makefile", "dockerfile", "containerfile", "jenkinsfile", "vagrantfile", "procfile", "codeowners"})


def suffix_of(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def is_document(path: str) -> bool:
    """Whether a file of this name may be one: some turn out not to be when read."""
    name = PurePosixPath(path).name
    suffix = suffix_of(name)
    if suffix:
        return suffix in READERS or suffix in _UNREAD
    return not name.startswith(".") and name.lower() not in _NO_DOCUMENTS


def read(path: str, data: bytes) -> list[Passage]:
    """The passages of one document; none where it is blank, or turns out to be something else than a document.

    :class:`SourceError`, whose text goes on after the name, where it cannot be read.
    """
    suffix = suffix_of(path)
    if suffix in _UNREAD:
        raise SourceError(f"documents of this format are not read: save it as {_UNREAD[suffix]}")
    if not data.strip():
        return []
    reader = READERS.get(suffix) or sniffed(data)
    try:
        return reader(path, data) if reader else []
    except SourceError:
        raise
    except Exception as e:  # one strange file must not keep the others from being read
        reason = " ".join(f"{type(e).__name__}: {e}".split())[:160]
        raise SourceError(f"it could not be read ({reason}): save it anew or in another format") from e


def sniffed(data: bytes) -> Reader | None:
    """The reader for bytes whose name says nothing; None where they are no document."""
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith(b"%pdf-"):
        return pdf.read
    if head.startswith(b"pk\x03\x04"):
        return docx.read
    if head.startswith((b"<!doctype html", b"<html")):
        return html.read
    if decode(data) is None:
        return None
    if head.startswith((b"openapi:", b"swagger:", b"{")):
        return notebook.read if b'"nbformat"' in data else openapi.read
    return text.read
