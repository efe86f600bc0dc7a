"""Word documents (.docx): sections by their headings."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import mammoth  # type: ignore[import-untyped]

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Passage
from concertino.documents.readers import html, sections
from concertino.retrieval.roles import role_of

MOST_BYTES = 20 * 1024 * 1024
"""Unpacked, over what the file itself has: pictures do not shrink, so this is text. No part yields more than it declares."""

MOST_TAGS = 2_000_000
"""Each costs about half a kilobyte as a tree. A thousand pages hold some 600,000."""

_NO_PICTURES: Callable[[Any], Any] = mammoth.images.img_element(lambda _: {})


_NOT_SOUND = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What zipfile raises for archives that are cut off, encrypted, or packed in ways that it does not know."""


def read(source: str, data: bytes) -> list[Passage]:
    """Passages whose locator is the path of headings. :class:`SourceError` where ``data`` is no sound Word document."""
    _check(data)
    try:
        converted = mammoth.convert_to_html(BytesIO(data), convert_image=_NO_PICTURES, include_embedded_style_map=False)
    except Exception as e:
        raise SourceError(f"it is a broken Word document ({_line(e)}): open it in a word processor and save it anew") from e
    found = html.sections(f"<body>{converted.value}</body>", anchors=False)
    return sections.passages(source, found, role_of(source))


def _check(data: bytes) -> None:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise SourceError("it is an old or an encrypted Word document: save it as .docx without a password")
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            size = sum(part.file_size for part in archive.infolist())
            if size > MOST_BYTES + len(data):
                raise SourceError(f"it unpacks to {size} bytes, over the limit of {MOST_BYTES} above its own size: split it")
            tags = sum(archive.read(part).count(b"<") for part in archive.infolist() if not part.is_dir())
    except _NOT_SOUND as e:
        raise SourceError(f"it is a broken Word document ({_line(e)}): open it in a word processor and save it anew") from e
    if tags > MOST_TAGS:
        raise SourceError(f"it holds {tags} tags, over the limit of {MOST_TAGS}: split it")


def _line(e: BaseException) -> str:
    return " ".join(str(e).split())[:120] or type(e).__name__
