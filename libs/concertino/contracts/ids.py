"""Ids that sort by the time they were made, and can stand in a subject."""

from __future__ import annotations

from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def task_id(now: float, random_bits: Callable[[int], int]) -> str:
    """26 characters in the manner of a ULID: 48 bits of milliseconds since 1970, then 80 random bits.

    ``random_bits(n)`` yields ``n`` random bits (``random.getrandbits`` or ``secrets.randbits``).
    """
    value = (int(now * 1000) & (2**48 - 1)) << 80 | random_bits(80)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
