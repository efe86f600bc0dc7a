"""Credentials that stand in addresses: ``https://user:password@host/``, ``https://token@host/``."""

from __future__ import annotations

import re
from collections.abc import Iterator

_USER = re.compile(r"(?<=://)[^/?#\s]*@")


def without_credentials(text: str) -> str:
    """``text`` with what stands before the ``@`` of a URL left out."""
    return _USER.sub("", text) if "://" in text else text


def credentials(text: str) -> Iterator[str]:
    """What stands there, where it lets somebody in: passwords, and tokens in the place of a user."""
    for found in _USER.findall(text):
        user, _, password = found[:-1].partition(":")
        yield password or user
