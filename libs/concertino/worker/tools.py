"""Tools: plain async functions, offered to models by their signature and docstring, and metered as they are called.

A parameter is described by ``Annotated[str, Meta(description="...")]``, where its name and the docstring do not say enough.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct, structs

from concertino.contracts.errors import ConcertinoError, Invalid, LimitReached, Refused
from concertino.contracts.messages import Passage
from concertino.model.observation import Checked
from concertino.model.port import ToolSpec
from concertino.telemetry import tracing
from concertino.telemetry.names import Attribute
from concertino.worker import door
from concertino.worker.passages import passages

ToolFunction = Callable[..., Awaitable[Any]]

_MOST_SHOWN = 64 * 1024
"""Bytes of what a tool was given, or returned, in a span."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What models' APIs take as the name of a tool."""


class _Tool(Struct, frozen=True):
    """``arguments`` None: they are passed on as they come, and checked by whoever gets them."""

    spec: ToolSpec
    arguments: type[Struct] | None
    function: ToolFunction


class _Admitted(Struct, frozen=True):
    """A call that may be made. ``call`` says which it is."""

    tool: _Tool
    arguments: dict[str, Any]
    call: tuple[str, bytes]


class Toolbox:
    """The tools of one piece of work, scoped to its brief: ``allowed`` narrows them, ``max_calls`` bounds their use. With
    ``captures`` spans hold what tools were given and what they returned."""

    def __init__(
        self,
        *,
        allowed: Sequence[str] | None = None,
        max_calls: int | None = None,
        on_call: Callable[[str, dict[str, Any]], Awaitable[None]] | None = None,
        on_seen: Callable[[Passage], None] | None = None,
        on_ended: Callable[[str], None] = lambda _: None,
        captures: bool = False,
    ) -> None:
        self._allowed = None if allowed is None else frozenset(allowed)
        self._max_calls = max_calls
        self._on_call = on_call
        self._on_seen = on_seen
        self._on_ended = on_ended
        self._captures = captures
        self._tools: dict[str, _Tool] = {}
        self._made: set[tuple[str, bytes]] = set()
        self.calls = 0

    @property
    def left(self) -> int | None:
        """Calls that the brief still allows. None: it sets no limit."""
        return None if self._max_calls is None else max(self._max_calls - self.calls, 0)

    @property
    def allowed(self) -> frozenset[str] | None:
        """The names that may be offered. None: any."""
        return self._allowed

    def forget(self) -> None:
        """Let calls be made again: their results are out of the model's sight."""
        self._made.clear()

    def allow_only(self, names: Collection[str]) -> None:
        """Allow ``names`` in the place of what the brief names, whatever was offered or is offered later: for a handler that
        gives its tools other names."""
        self._allowed = frozenset(names)
        self._tools = {name: tool for name, tool in self._tools.items() if name in self._allowed}

    def add(self, *functions: ToolFunction) -> None:
        """Offer ``functions``: each an async function with annotated parameters and a docstring that says when to use it."""
        for function in functions:
            self.offer(spec(function), function)

    def offer(self, spec: ToolSpec, function: ToolFunction) -> None:
        """Offer ``function`` as ``spec`` describes it, if it is allowed.

        Its arguments are held against its signature; where that takes any (``**arguments``), they are passed on as they come.
        Raises :class:`ValueError` for a name that no model can call, or that is taken.
        """
        if not _NAME.fullmatch(spec.name):
            raise ValueError(f"{spec.name!r} cannot be the name of a tool: 1 to 64 letters, digits, _ and -")
        if spec.name in self._tools:
            raise ValueError(f"there is a tool {spec.name!r} already")
        if self._allowed is None or spec.name in self._allowed:
            self._tools[spec.name] = _Tool(spec, _arguments(spec.name, function), function)

    @property
    def specs(self) -> Sequence[ToolSpec]:
        return [tool.spec for tool in self._tools.values()]

    async def call(self, name: str, /, **arguments: Any) -> Any:
        """What tool ``name`` returns.

        :class:`Invalid` for an unknown name or bad arguments, :class:`Refused` at the limit, and where the very same call was
        made before: its result has not changed.
        """
        ended = "bug"
        with _span(name if name in self._tools else "") as span:
            if self._captures:
                span.set({Attribute.GEN_AI_TOOL_ARGUMENTS: _shown(arguments)})
            try:
                returned = await self._called(name, arguments)
                ended = "ok"
                if self._captures:
                    span.set({Attribute.GEN_AI_TOOL_RESULT: _shown(returned)})
            except ConcertinoError as e:
                ended = e.code
                raise
            except asyncio.CancelledError:
                ended = "cancelled"
                raise
            finally:
                self._on_ended(ended)
        return returned

    def again(self, name: str, arguments: dict[str, Any], seen: Sequence[Passage], *, failed: bool) -> None:
        """Count a call as made that was made in an earlier attempt, and returned the passages ``seen``, or failed."""
        try:
            admitted = self._admitted(name, arguments)
        except ConcertinoError:
            return  # nor was it then
        if failed:
            self._made.discard(admitted.call)
        if self._on_seen:
            for passage in seen:
                self._on_seen(passage)

    def _admitted(self, name: str, arguments: dict[str, Any]) -> _Admitted:
        """The call of ``name``, counted."""
        if name not in self._tools:
            raise Invalid(f"there is no tool {name!r} here; there are: {', '.join(self._tools) or 'none'}")
        if self._max_calls is not None and self.calls >= self._max_calls:
            raise LimitReached(f"this brief allows {self._max_calls} tool calls, and they are used up: write up what there is")
        tool = self._tools[name]
        checked = arguments
        if tool.arguments is not None:
            try:
                checked = structs.asdict(msgspec.convert(arguments, tool.arguments, strict=False))
            except msgspec.ValidationError as e:
                raise Invalid(f"{name}: {e}") from e
        call = name, msgspec.json.encode(checked, order="deterministic")
        if call in self._made:
            raise Refused(f"{name} was called with just these arguments before: its result stands above; ask something else")
        self.calls += 1
        self._made.add(call)  # at once: calls may be made side by side
        return _Admitted(tool, checked, call)

    async def _called(self, name: str, arguments: dict[str, Any]) -> Any:
        admitted = self._admitted(name, arguments)
        try:
            if self._on_call:
                await self._on_call(name, admitted.arguments)
            returned = await door.admitted(await admitted.tool.function(**admitted.arguments))
        except BaseException as e:
            self._made.discard(admitted.call)
            if isinstance(e, ConcertinoError):
                door.clean(e)
            raise
        if self._on_seen:
            for passage in passages(returned):
                self._on_seen(passage)
        return returned


def _shown(value: Any) -> str:
    """As a span holds it."""
    return msgspec.json.encode(value, enc_hook=str)[:_MOST_SHOWN].decode(errors="ignore")


def _span(name: str) -> AbstractContextManager[tracing.Span]:
    """Of a call. A name that is none of ours was made up by who calls; that a limit is reached is no fault of the tool's."""
    said = {Attribute.GEN_AI_OPERATION: "execute_tool", Attribute.GEN_AI_TOOL_TYPE: "function"}
    if not name:
        return tracing.span("execute_tool", attributes=said)
    return tracing.span(f"execute_tool {name}", attributes={**said, Attribute.GEN_AI_TOOL: name}, normal=(Refused,))


def spec(function: ToolFunction) -> ToolSpec:
    """``function`` as a model sees it."""
    name = getattr(function, "__name__", "")
    arguments = _arguments(name, function)
    if arguments is None:
        raise TypeError(f"{name!r} takes any arguments: offer it with a spec that says which")
    (reference,), components = msgspec.json.schema_components([arguments])
    parameters = components.pop(reference["$ref"].rpartition("/")[2])  # APIs want the object itself, and no reference to it
    parameters.pop("title", None)
    if components:
        parameters["$defs"] = components
    checks = get_type_hints(function).get("return") is Checked
    return ToolSpec(name, inspect.getdoc(function) or "", parameters, checks)


def _arguments(name: str, function: ToolFunction) -> type[Struct] | None:
    hints = get_type_hints(function, include_extras=True)
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            return None
        annotation = hints.get(parameter.name, Any)
        if parameter.default is parameter.empty:
            fields.append((parameter.name, annotation))
        else:
            fields.append((parameter.name, annotation, parameter.default))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
