"""Masking of whatever holds texts: structs, mappings, sequences. What needs no change is returned as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from msgspec import Struct, structs

from concertino.contracts.messages import Passage, Source
from concertino.masking.texts import masked_text

T = TypeVar("T")


def masked(value: T, path: str = "") -> T:
    """``value`` with every likely credential in its texts made unreadable; itself where there is none.

    ``path`` is what a text is from: it tells how passwords are written there. A passage knows that itself. What has to stay
    what it is does: sources, since somebody has to open them, and the parameters of a kind of its own.
    """
    return changed(value, masked_text, path)


def changed(value: T, change: Callable[[str, str], str], path: str = "") -> T:
    """``value`` with ``change(text, path)`` done to every text in it; itself where that changes none."""
    match value:
        case str():
            return cast(T, change(value, path))
        case Source() | None | bool() | int() | float() | bytes():
            return value
        case Struct():
            text_of = value.source if isinstance(value, Passage) else path
            new = {
                name: after
                for name in value.__struct_fields__
                if name != "params"
                and (after := changed(was := getattr(value, name), change, text_of if name == "text" else path)) is not was
            }
            return cast(T, structs.replace(value, **new)) if new else value
        case dict():
            items = {changed(key, change, path): changed(item, change, path) for key, item in value.items()}
            return value if _same(list(items.items()), list(value.items())) else cast(T, items)
        case list() | tuple():
            after = [changed(item, change, path) for item in value]
            if all(new is was for new, was in zip(after, value, strict=True)):
                return value
            return cast(T, type(value)(*after) if hasattr(value, "_fields") else type(value)(after))
        case _:
            return value


def _same(items: list[tuple[object, object]], before: list[tuple[object, object]]) -> bool:
    return len(items) == len(before) and all(
        key is was_key and item is was_item for (key, item), (was_key, was_item) in zip(items, before, strict=True)
    )
