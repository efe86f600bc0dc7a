"""Characters that no reader sees: a model does, and what is hidden in them would be read by it alone. Pure."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e01ef]"
)
"""Controls but tab and line ends, marks of direction, joints and spaces without width, tags, and variants that name no emoji.
The joiners that writing and emoji need (U+200C, U+200D) are none of them."""
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""What makes a line look as if it stood in another order: whoever judges code has to see that it is there."""


def visible(text: str) -> str:
    """``text`` without what no reader sees; what turns the direction of reading is written out. It keeps its lines."""
    if _UNSEEN.search(text) is None:
        return text
    return _UNSEEN.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    char = found[0]
    if _TURNING.match(char):
        return f"\\u{ord(char):04x}"
    return "\ufffd" if "\ud800" <= char <= "\udfff" else ""
