"""Prompts are files: Markdown with a head that names and numbers it, beside the service that uses it.

::

    ---
    name: web
    version: 3
    ---
    You find ...

The number is raised with every change, so that a result says which words it was made with. A test holds each text against
its number (``tests/unit/model/test_prompts.py``).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from concertino.model.port import Prompt

_FILE = re.compile(r"---\nname: (?P<name>[a-z][a-z0-9_]*)\nversion: (?P<version>[0-9]+)\n---\n(?P<text>.+)", re.DOTALL)


def load(path: Path) -> Prompt:
    """The prompt in the file at ``path``. Raises :class:`ValueError` where its head is missing or wrong."""
    found = _FILE.fullmatch(path.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{path}: a prompt begins with ---, name: NAME, version: NUMBER and ---, each on its line")
    return Prompt(found["name"], found["version"], found["text"].strip())


def written(name: str, text: str) -> Prompt:
    """A prompt that stands in no file: its version is drawn from its text."""
    text = text.strip()
    return Prompt(name, hashlib.sha256(text.encode()).hexdigest()[:8], text)


def joined(*prompts: Prompt) -> Prompt:
    """Several as one, in order; named after all of them."""
    first, *others = prompts
    if not others:
        return first
    rest = joined(*others)
    return Prompt(f"{first.id} {rest.name}", rest.version, f"{first.text}\n\n{rest.text}")
