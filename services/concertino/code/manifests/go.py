"""go.mod."""

from __future__ import annotations

import re
from collections.abc import Iterator

from concertino.code.manifests.declared import Declared

_REQUIRED = re.compile(r"(?:require\s+)?([\w./~-]+\.[\w./~-]+|[\w-]+/[\w./~-]+)\s+(v\d\S*)\s*(?://\s*(indirect))?")


def module(text: str) -> Iterator[Declared]:
    """Go builds with exactly the versions that a module's files select, so each counts as pinned."""
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if re.match(r"require\s*\($", stripped):
            inside = True
        elif stripped == ")":
            inside = False
        elif (inside or stripped.startswith("require ")) and (found := _REQUIRED.match(stripped)):
            yield Declared(found[1], found[2], True, found[3] or "", number)
