"""Bytes of a file to text."""

from __future__ import annotations

import codecs

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SNIFF = 8192


def decode(data: bytes) -> str | None:
    """``data`` as text with ``\\n`` for every line end, or None where it is binary.

    A byte order mark decides; else it is UTF-8; else Windows-1252, as old sources are, with the five bytes that it leaves
    undefined kept as Latin-1: every byte has a character, so nothing is lost.
    """
    text = _by_mark(data)
    if text is None:
        if b"\0" in data[:_SNIFF]:
            return None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            if _looks_binary(data[:_SNIFF]):
                return None
            text = _single_byte(data)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _by_mark(data: bytes) -> str | None:
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    return None


def _single_byte(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _looks_binary(data: bytes) -> bool:
    """Control characters other than white space, escape and form feed are rare in text of any encoding."""
    control = sum(1 for byte in data if byte < 32 and byte not in b"\t\n\v\f\r\b\x1b")
    return control * 50 > len(data)
