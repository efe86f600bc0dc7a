"""Web addresses in running text. Pure."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"https?://[^\s<>“”„«»\"'`|\\^{}\x00-\x20]+", re.IGNORECASE)
_TRAILING = ".,;:!?*_"
_PAIRS = {")": "(", "]": "["}


def addresses(text: str) -> list[str]:
    """Every http or https address in ``text``, in order, each once; without the punctuation of the sentence around it."""
    return list(dict.fromkeys(_trimmed(found) for found in _ADDRESS.findall(text)))


def _trimmed(address: str) -> str:
    while True:
        last = address[-1:]
        opening = _PAIRS.get(last)
        closes_nothing = opening is not None and address.count(opening) < address.count(last)
        if last not in _TRAILING and not closes_nothing:
            return address
        address = address[:-1]
