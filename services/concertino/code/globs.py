"""Patterns of paths: ``*.py`` at any depth, ``src/**/test_*.py``, ``docs/*``."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(path: str, glob: str) -> bool:
    """Whether ``path`` matches ``glob``: ``*`` and ``?`` stay within one name, ``**`` is any number of folders.

    Without a slash the file's name alone is compared; empty matches everything, and ``folder/`` everything below it.
    """
    if not glob:
        return True
    if glob.endswith("/"):
        glob += "**"
    parts = glob.removeprefix("./").split("/")
    return _matches(path.split("/"), ["**", *parts] if len(parts) == 1 else parts)


def _matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    """How far each prefix of ``parts`` can reach into ``names``: no backtracking, whatever the pattern."""
    reached = {0}
    for part in parts:
        if part == "**":
            reached = set(range(min(reached), len(names) + 1))
        else:
            reached = {i + 1 for i in reached if i < len(names) and fnmatchcase(names[i], part)}
        if not reached:
            return False
    return len(names) in reached
