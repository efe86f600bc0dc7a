"""How a model is shown what others wrote: as JSON in a tag that nothing inside can close."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from concertino.masking import visible

Block = dict[str, Any]


_BRACKETS = {ord(c): f"\\u{ord(c):04x}" for c in "<>＜＞﹤﹥"}


def data(name: str, value: Any) -> str:
    """``value`` in a tag ``name``. No string in it can end the tag, or open another: JSON has another way to write ``<``, and
    what looks like it. What no reader sees is left out."""
    return f"<{name}>\n{visible(msgspec.json.encode(value).decode()).translate(_BRACKETS)}\n</{name}>"


def tokens(text: str) -> int:
    """What ``text`` takes of a context, estimated, and rather too much than too little: three bytes a token."""
    return len(text.encode()) // 3 + 1


def size(request: Mapping[str, Any]) -> int:
    """Tokens that a model reads of ``request``, estimated, and rather too many than too few."""
    return tokens(msgspec.json.encode(request, enc_hook=str).decode())


def cut(text: str, most: int) -> str:
    """At most ``most`` characters of ``text``, and a sign where there were more."""
    return text if len(text) <= most else f"{text[:most]} …"
