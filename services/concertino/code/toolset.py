"""The tools over code, for every worker that reads some."""

from __future__ import annotations

from collections.abc import Sequence

from concertino.code.clones import Limits
from concertino.code.code import Code
from concertino.contracts.messages import Source
from concertino.worker import Context
from concertino.worker.toolsets import Toolset

ABILITIES = {
    "search": "find passages about something: definitions, comments, README sections",
    "grep": "find lines by a regular expression",
    "structural": "find code by its shape (ast-grep)",
    "symbols": "find where a name is defined",
    "references": "find where a name is used",
    "outline": "list what a file defines",
    "read": "read lines of a file",
    "list_files": "list the files",
    "history": "the last commits of a file, with their messages",
    "blame": "which commit wrote each line",
    "dependencies": "what the manifests declare",
    "weak_dependencies": "check for unpinned, unbounded, vulnerable and abandoned dependencies",
    "secrets": "check for credentials left in files",
    "risks": "check for risky and insecure calls",
    "untested": "check for what has no tests",
    "unused": "check for dead code",
}


async def _open(context: Context, sources: Sequence[Source]) -> Code:
    return await Code.open(sources, context.cache, Limits(bytes=context.settings.clone_bytes))


CODE = Toolset("code", sources=("code",), open=_open, abilities=lambda *_: ABILITIES)
