"""Passages in whatever a tool returns, however they are wrapped in sequences, mappings and structs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from msgspec import Struct, structs

from concertino.contracts.messages import Passage

T = TypeVar("T")


def passages(value: Any) -> Iterator[Passage]:
    """Every passage in ``value``."""
    if isinstance(value, Passage):
        yield value
    elif isinstance(value, Struct):
        for field in value.__struct_fields__:
            yield from passages(getattr(value, field))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from passages(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from passages(item)


def changed(value: T, change: Callable[[Passage], Passage]) -> T:
    """``value`` with ``change`` done to every passage in it; itself where that changes none."""
    if isinstance(value, Passage):
        return cast(T, change(value))
    if isinstance(value, Struct):
        new = {
            name: after
            for name in value.__struct_fields__
            if (after := changed(was := getattr(value, name), change)) is not was
        }
        return structs.replace(value, **new) if new else value
    if isinstance(value, dict):
        items = {key: changed(was, change) for key, was in value.items()}
        return cast(T, items) if any(items[key] is not was for key, was in value.items()) else value
    if isinstance(value, tuple | list):
        after = [changed(was, change) for was in value]
        if any(new is not was for new, was in zip(after, value, strict=True)):
            return cast(T, type(value)(after))
    return value


def rooted(value: T, root: str) -> T:
    """``value`` with ``root`` as the root of every passage in it."""
    return changed(value, lambda passage: passage if passage.root == root else structs.replace(passage, root=root))
