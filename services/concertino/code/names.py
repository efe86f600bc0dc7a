"""Names of definitions."""

from __future__ import annotations

import re

_MOST_QUALIFIERS = 8
_MOST_CHARACTERS = 200
_NOISE = re.compile(r"^(module\.)?exports\.|^(this|self|window|globalThis)\.|\bprototype\.|[\s'\"`]")


def plain(name: str) -> str:
    """``Foo.prototype.bar`` is ``Foo.bar``; ``module.exports.bar`` is ``bar``."""
    return _NOISE.sub("", name)[:_MOST_CHARACTERS]


def qualified(around: str, name: str) -> str:
    """``around.name``; the outermost names are dropped where the nesting is deeper than any person reads."""
    return ".".join([*around.split("."), name][-_MOST_QUALIFIERS:])
