"""Masking of whatever holds texts: structs, mappings, sequences. What needs no change is returned as it is."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

from msgspec import Struct, inspect, structs

from concertino.contracts.messages import Passage, ResultStatus, Source, Usage
from concertino.masking.detect import may_hold
from concertino.masking.known import without_known
from concertino.masking.texts import masked_text

T = TypeVar("T")

_PLAIN = frozenset((type(None), bool, int, float, bytes, ResultStatus, Source, Usage))
"""What holds no text, or has to stay as it is."""
_KEPT = frozenset(("params", "id", "kind", "worker", "digest", "model", "prompt"))
"""Fields that are names which we give, and what a caller means for a kind of its own."""


def masked(value: T, path: str = "") -> T:
    """``value`` with every likely credential in its texts made unreadable; itself where there is none.

    ``path`` is what a text is from: it tells how passwords are written there. A passage knows that itself. What has to stay
    what it is does: sources, since somebody has to open them, and the parameters of a kind of its own.
    """
    if type(value) is not str and not _may_change(value):
        return value
    return changed(value, masked_text, path)


def _may_change(value: object) -> bool:
    """Whether masking may do anything to a text in ``value``: they are looked at all at once, and most hold nothing. No secret
    stands in two of them."""
    texts: list[str] = []
    _gather(value, texts)
    text = "\n".join(texts)
    return may_hold(text) or without_known(text) is not text


def _gather(value: object, texts: list[str]) -> None:
    """Add every text in ``value`` that :func:`changed` may change."""
    kind = type(value)
    if kind in _PLAIN:
        return
    if isinstance(value, Struct):
        for held in filter(None, _fields(type(value))[1](value)):
            if type(held) is str:
                texts.append(held)
            else:
                _gather(held, texts)
    elif isinstance(value, dict):
        for key, item in value.items():
            _gather(key, texts)
            _gather(item, texts)
    elif isinstance(value, list | tuple):
        for item in value:
            _gather(item, texts)
    elif isinstance(value, str):
        texts.append(value)


def changed(value: T, change: Callable[[str, str], str], path: str = "") -> T:
    """``value`` with ``change(text, path)`` done to every text in it; itself where that changes none."""
    kind = type(value)
    if kind is str:
        return cast(T, change(cast(str, value), path))
    if kind in _PLAIN:
        return value
    if isinstance(value, Struct):
        text_of = value.source if isinstance(value, Passage) else path
        new: dict[str, Any] = {}
        names, values_of = _fields(type(value))
        for name, was in zip(names, values_of(value), strict=True):
            if not was:
                continue
            of = text_of if name == "text" else path
            after = change(was, of) if type(was) is str else changed(was, change, of)
            if after is not was:
                new[name] = after
        return cast(T, structs.replace(value, **new)) if new else value
    if isinstance(value, dict):
        items = {changed(key, change, path): changed(item, change, path) for key, item in value.items()}
        return value if _same(list(items.items()), list(value.items())) else cast(T, items)
    if isinstance(value, list | tuple):
        parts = [changed(item, change, path) for item in value]
        if all(map(operator.is_, parts, value)):
            return value
        return cast(T, type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts))
    return cast(T, change(value, path)) if isinstance(value, str) else value


@functools.cache
def _fields(kind: type[Struct]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """Those that may hold texts which are not kept, and what takes their values out of one of that ``kind``. Each piece of work
    is looked through, and most of its fields are limits, numbers and choices."""
    holding = (field.name for field in inspect.type_info(kind).fields if _may_hold(field.type))  # type: ignore[attr-defined]
    first, *others = [name for name in holding if name not in _KEPT] or ["__class__"]
    # Of a single name it would take the value itself.
    return (first, *others), operator.attrgetter(first, *others) if others else lambda value: (getattr(value, first),)


def _may_hold(type_: inspect.Type) -> bool:
    """Whether a text may stand there, other than one of a few."""
    if isinstance(type_, inspect.UnionType):
        return any(map(_may_hold, type_.types))
    if isinstance(type_, inspect.StructType):
        return type_.cls not in _PLAIN
    closed = inspect.NoneType | inspect.BoolType | inspect.IntType | inspect.FloatType | inspect.LiteralType | inspect.EnumType
    return not isinstance(type_, closed)


def _same(items: list[tuple[object, object]], before: list[tuple[object, object]]) -> bool:
    return len(items) == len(before) and all(
        key is was_key and item is was_item for (key, item), (was_key, was_item) in zip(items, before, strict=True)
    )
