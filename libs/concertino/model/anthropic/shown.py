"""What tools return, as a model is shown it: between marks that no content can know, passages word for word."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from concertino.contracts.messages import Passage

LARGEST = 60_000
"""Characters of one result."""


class Mark(Struct, frozen=True):
    """What tells the borders of results from everything in them: ``secret`` is drawn for each conversation."""

    secret: str

    def opening(self, name: str) -> str:
        return f"<{name}-{self.secret}>"

    def closing(self, name: str) -> str:
        return f"</{name}-{self.secret}>"

    def around(self, name: str, text: str) -> str:
        """``text`` between the marks; should it hold the secret all the same, a sign stands in its place: what is left
        around a gap could be the secret again."""
        return f"{self.opening(name)}\n{text.replace(self.secret, '…')}\n{self.closing(name)}"


def shown(returned: Any, mark: Mark) -> str:
    """``returned`` by a tool. What is very large is cut, and it is said how to read on."""
    found: list[Passage] = []
    rest = _without_passages(returned, found)
    parts: list[str] = []
    if not found or not _only_passages(returned):
        text = rest if isinstance(rest, str) else msgspec.json.encode(rest).decode()
        parts.append(mark.around("result", _fitting(text, LARGEST)))
    left = LARGEST - sum(map(len, parts))
    for index, passage in enumerate(found):
        text = _fitting(passage.text, max(left, 0))
        if left <= 0:
            parts.append(f"({len(found) - index} more passages do not fit here: ask for fewer at once, or for a part.)")
            break
        parts.append(mark.around("passage", f"{_heading(passage, index)}\n{text}"))
        left -= len(text)
    return "\n".join(parts)


def seen(returned: Any) -> tuple[Passage, ...]:
    """Every passage in ``returned``, also of what was cut."""
    found: list[Passage] = []
    _without_passages(returned, found)
    return tuple(found)


def _heading(passage: Passage, index: int) -> str:
    """One line of JSON: what to name as the source of a quote, and where it stands."""
    locator = {k: v for k, v in msgspec.to_builtins(passage.locator).items() if v is not None}
    about = {"passage": index + 1, "source": passage.source, "root": passage.root, **locator, "title": passage.title}
    return msgspec.json.encode({name: value for name, value in about.items() if value}).decode()


def _fitting(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return f"{text[:most]}\n({len(text) - most} more characters are not shown: ask for the part that you need.)"


def _only_passages(value: Any) -> bool:
    return isinstance(value, Passage) or (isinstance(value, list | tuple) and all(isinstance(v, Passage) for v in value))


def _without_passages(value: Any, found: list[Passage]) -> Any:
    """``value`` as JSON takes it. Passages are put into ``found``, and their number is left in their place."""
    match value:
        case Passage():
            found.append(value)
            return {"passage": len(found)}
        case Struct():
            fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
            return {name: _without_passages(field, found) for name, field in fields if field not in ("", None, (), [])}
        case dict():
            return {str(name): _without_passages(item, found) for name, item in value.items()}
        case list() | tuple():
            return [_without_passages(item, found) for item in value]
        case str() | int() | float() | bool() | None:
            return value
        case _:
            return msgspec.to_builtins(value, enc_hook=str)
