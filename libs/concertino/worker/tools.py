"""Tools: plain async functions, offered to models by their signature and docstring, and metered as they are called."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct, structs

from concertino.contracts.errors import Invalid, Refused
from concertino.contracts.messages import Passage
from concertino.model.port import ToolSpec

ToolFunction = Callable[..., Awaitable[Any]]


class Toolbox:
    """The tools of one piece of work, scoped to its brief: ``allowed`` narrows them, ``max_calls`` bounds their use."""

    def __init__(
        self,
        *,
        allowed: Sequence[str] | None = None,
        max_calls: int | None = None,
        on_call: Callable[[str, dict[str, Any]], Awaitable[None]] | None = None,
        on_seen: Callable[[Passage], None] | None = None,
    ) -> None:
        self._allowed = None if allowed is None else frozenset(allowed)
        self._max_calls = max_calls
        self._on_call = on_call
        self._on_seen = on_seen
        self._tools: dict[str, tuple[ToolSpec, type[Struct], ToolFunction]] = {}
        self.calls = 0

    def add(self, *functions: ToolFunction) -> None:
        """Offer ``functions``: each an async function with annotated parameters and a docstring that says when to use it."""
        for function in functions:
            name = getattr(function, "__name__", "")
            if self._allowed is None or name in self._allowed:
                arguments = _arguments(name, function)
                spec = ToolSpec(name, inspect.getdoc(function) or "", msgspec.json.schema(arguments))
                self._tools[name] = (spec, arguments, function)

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return [spec for spec, _, _ in self._tools.values()]

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """What tool ``name`` returns. :class:`Invalid` for an unknown name or bad arguments, :class:`Refused` at the limit."""
        if name not in self._tools:
            raise Invalid(f"there is no tool {name!r} here; there are: {', '.join(self._tools) or 'none'}")
        if self._max_calls is not None and self.calls >= self._max_calls:
            raise Refused(f"this brief allows {self._max_calls} tool calls, and they are used up: write up what there is")
        _, type_, function = self._tools[name]
        try:
            checked = structs.asdict(msgspec.convert(arguments, type_, strict=False))
        except msgspec.ValidationError as e:
            raise Invalid(f"{name}: {e}") from e
        self.calls += 1
        if self._on_call:
            await self._on_call(name, checked)
        returned = await function(**checked)
        if self._on_seen:
            for passage in _passages(returned):
                self._on_seen(passage)
        return returned


def _arguments(name: str, function: ToolFunction) -> type[Struct]:
    hints = get_type_hints(function)
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        annotation = hints.get(parameter.name, Any)
        if parameter.default is parameter.empty:
            fields.append((parameter.name, annotation))
        else:
            fields.append((parameter.name, annotation, parameter.default))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


def _passages(value: Any) -> Iterator[Passage]:
    """Every passage in what a tool returned, however it is wrapped in sequences, mappings and structs."""
    if isinstance(value, Passage):
        yield value
    elif isinstance(value, Struct):
        for field in value.__struct_fields__:
            yield from _passages(getattr(value, field))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _passages(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _passages(item)
