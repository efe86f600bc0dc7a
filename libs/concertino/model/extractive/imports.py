"""Lines of code that only bring names in: they mention much, and say nothing about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_IMPORT = re.compile(r"(import|package|using) [\w.]+;?$|import [\w.]+ as \w+$|from \S+ import \S|#include |use [\w:]+(::\S*)?;")
_NAME = re.compile(r"\s+\w+(?: as \w+)?,\s*(?:#.*)?$")


def imports(lines: Sequence[str]) -> list[bool]:
    """For each line whether it is an import or goes on with one, also where ``lines`` begin in the middle of one."""
    found: list[bool] = []
    inside = _begins_inside(lines)
    for line in lines:
        opens = bool(_IMPORT.match(line))
        found.append(opens or inside)
        if opens:
            inside = line.count("(") > line.count(")") or line.rstrip().endswith("\\")
        elif inside:
            inside = ")" not in line and (line.rstrip().endswith((",", "\\", "(")) or not line.strip())
    return found


def _begins_inside(lines: Sequence[str]) -> bool:
    for line in lines:
        if not _NAME.match(line):
            return line.rstrip() == ")" and line is not lines[0]
    return False
