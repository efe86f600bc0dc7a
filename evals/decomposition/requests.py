"""The fifty requests, the fleet that they are planned for, and the check that what is expected can be had."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from concertino.contracts.messages import Announcement, Limits, Source
from concertino.contracts.plans import max_subtasks

REQUESTS, FLEET = Path(__file__).with_name("requests.toml"), Path(__file__).with_name("fleet.toml")

Domain = Literal["fact", "comparison", "chain", "survey", "audit", "whole"]
Range = tuple[int, int]
"""The least and the most, both included."""
_MANY = re.compile(r"\{(\d+)\.\.(\d+)\}")


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked, and what a good plan for it has: the head of ``requests.toml`` says what the fields mean."""

    domain: Domain
    ask: str
    workers: Range
    kinds: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    depth: Range = (1, 1)
    sources: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = None
    limits: Limits = Limits()

    @property
    def given(self) -> tuple[Source, ...]:
        """The sources of the request."""
        return _sources(self.sources)

    @property
    def needed(self) -> frozenset[Source]:
        """Those that somebody has to read."""
        return frozenset(_sources(self.sources if self.reads is None else self.reads))


class _Requests(Struct, frozen=True):
    request: tuple[Request, ...]


class _Fleet(Struct, frozen=True):
    kind: tuple[Announcement, ...]


def requests() -> tuple[Request, ...]:
    return msgspec.toml.decode(REQUESTS.read_bytes(), type=_Requests).request


def fleet() -> tuple[Announcement, ...]:
    return msgspec.toml.decode(FLEET.read_bytes(), type=_Fleet).kind


def faults(asked: tuple[Request, ...], kinds: tuple[Announcement, ...]) -> Iterator[str]:
    """What is wrong with the expectations: nobody could meet them, or they contradict each other."""
    there = {kind.kind for kind in kinds}
    for request in asked:
        least, most = request.workers
        if not 1 <= least <= most <= max_subtasks(request.limits, brought=False):
            yield f"{request.ask!r}: {least} to {most} workers cannot be had"
        if not 1 <= request.depth[0] <= request.depth[1] <= most:
            yield f"{request.ask!r}: a depth of {request.depth[0]} to {request.depth[1]} cannot be had"
        if len(request.kinds) > most or not request.kinds | request.may:
            yield f"{request.ask!r}: its kinds cannot all be asked"
        if strange := (request.kinds | request.may) - there:
            yield f"{request.ask!r}: the fleet has no {', '.join(sorted(strange))}"
        if not request.needed <= set(request.given):
            yield f"{request.ask!r}: it is to read what it was not given"


def _sources(written: tuple[str, ...]) -> tuple[Source, ...]:
    return tuple(_source(one) for text in written for one in _each(text))


def _each(text: str) -> Iterator[str]:
    many = _MANY.search(text)
    if many is None:
        yield text
        return
    for number in range(int(many[1]), int(many[2]) + 1):
        yield f"{text[: many.start()]}{number}{text[many.end() :]}"


def _source(text: str) -> Source:
    kind, _, location = text.partition(":")
    return Source(kind=kind, location=location)
