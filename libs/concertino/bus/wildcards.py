"""Subject patterns as NATS reads them: ``*`` is one token, ``>`` is one or more at the end."""

from __future__ import annotations


def matches(pattern: str, subject: str) -> bool:
    """Whether ``subject`` is one that ``pattern`` means."""
    if pattern == subject:
        return True
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(wanted) == len(tokens) and all(w in ("*", t) for w, t in zip(wanted, tokens, strict=True))
