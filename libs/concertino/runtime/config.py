"""What needs more than one line to configure, in one TOML file that ``CTN_CONFIG`` names: models, prices, tool servers.

::

    [models.default]                # every kind that has no table of its own
    model = "claude-sonnet-5-5"
    [models.plan]                   # one kind: plan, synthesize, web, code, docs, general, or one of yours
    model = "claude-opus-5-5"
    effort = "high"
    fallback = "claude-opus-5"
    [prices."claude-sonnet-5-5"]    # US dollars per million tokens; replaces the table that ships
    input = 2.0
    output = 10.0
    [mcp.tickets]                   # an MCP server, and who may use which of its tools
    command = ["tickets-mcp", "--read-only"]
    kinds = ["general"]
    tools = ["search_tickets"]
    [kinds.web]                     # a kind that may be scaled to zero, see concertino.runtime.provision
    description = "Searches and reads the public web."
    sources = ["web"]
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from concertino.contracts.errors import BadSetting
from concertino.contracts.messages import Kind
from concertino.contracts.plans import GENERAL, PRIVATE, PUBLIC

Level = Literal["low", "medium", "high", "xhigh", "max"]
Dollars = Annotated[float, Meta(ge=0)]
Alias = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
DEFAULT = "default"


class ModelChoice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model a kind thinks with. What is unset is taken from ``models.default``, then from what ships."""

    model: Annotated[str, Meta(min_length=1)] | None = None
    effort: Level | None = None
    """How hard it thinks where the task does not say. Unset: the model's own default."""
    fallback: str | None = None
    """Asked where the model refuses, is overloaded for long, or is gone. Empty: none."""
    max_tokens: Annotated[int, Meta(ge=1024, le=128_000)] | None = None
    """Output of one call at the most."""


class LongPrompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a call costs whose prompt, cached parts included, has more than ``over`` tokens. Its cache costs as much more."""

    over: Annotated[int, Meta(ge=1)]
    input: Dollars
    output: Dollars


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars per million tokens; of a thousand web searches by the provider."""

    input: Dollars
    output: Dollars
    cache_write: Dollars | None = None
    """Unset: 1.25 times ``input``."""
    cache_read: Dollars | None = None
    """Unset: a tenth of ``input``."""
    web_searches: Dollars = 10.0
    long: LongPrompt | None = None


class McpServer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MCP server: started as a process (``command``) or reached by streamable HTTP (``url``)."""

    command: tuple[str, ...] = ()
    url: str = ""
    env: dict[str, str] = {}
    """For the process. ``$NAME`` is taken from the worker's own environment; nothing else of it is passed on."""
    headers: dict[str, str] = {}
    """For the URL. ``$NAME`` as above."""
    kinds: tuple[Kind, ...] = ("general",)
    """Who may use its tools."""
    tools: tuple[str, ...] | None = None
    """Which of its tools may be used. Unset: all."""
    public: bool = False
    """Whether its tools reach the open web. Those that do are for ``web``, those that do not for ``code`` and ``docs``, and no
    kind but ``general`` has both; there no subtask has both, and none has public ones beside private sources."""
    seconds: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """For one call."""

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise ValueError("name either its command or its url")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("its url begins with http:// or https://")


class OnDemand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind that is served on demand: an autoscaler starts its workers when there is work. What a planner reads of it."""

    description: Annotated[str, Meta(min_length=1)]
    sources: tuple[Kind, ...] = ()
    tools: tuple[str, ...] = ()


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    models: dict[str, ModelChoice] = {}
    prices: dict[str, Price] = {}
    mcp: dict[Alias, McpServer] = {}
    kinds: dict[Kind, OnDemand] = {}

    def __post_init__(self) -> None:
        for alias, server in self.mcp.items():
            if alias in (PUBLIC, *PRIVATE):
                raise ValueError(f"mcp.{alias}: its tools would be named as those of the {alias} worker are: call it otherwise")
            private = " and ".join(kind for kind in server.kinds if kind in PRIVATE)
            if server.public and private:
                raise ValueError(
                    f"mcp.{alias} reaches the open web (public = true), where what {private} may read must not get to: take "
                    f"{private} out of its kinds"
                )
            if not server.public and PUBLIC in server.kinds:
                raise ValueError(
                    f"mcp.{alias} is for {PUBLIC}, from where what it tells could get out: take {PUBLIC} out of its kinds, or "
                    "say public = true if it tells nothing that is private"
                )
            for kind in server.kinds:
                others = [name for name, other in self.mcp.items() if kind in other.kinds and other.public != server.public]
                if others and kind != GENERAL:
                    raise ValueError(
                        f"mcp: of the servers for {kind!r} some reach the open web and some do not, and a page could have the "
                        f"model carry from one to the other: take it out of the kinds of {alias}, or of {', '.join(others)}"
                    )

    def model(self, kind: str) -> ModelChoice:
        """What is configured for ``kind``, completed by ``models.default``."""
        own, default = self.models.get(kind, ModelChoice()), self.models.get(DEFAULT, ModelChoice())
        chosen = {
            name: mine if (mine := getattr(own, name)) is not None else getattr(default, name) for name in own.__struct_fields__
        }
        return ModelChoice(**chosen)


_SECTIONS: dict[str, tuple[Any, type[Struct]]] = {
    "models": (str, ModelChoice),
    "prices": (str, Price),
    "mcp": (Alias, McpServer),
    "kinds": (Kind, OnDemand),
}
_FIELD = "unknown field"


def load(path: str) -> Config:
    """The configuration in the file at ``path``; an empty path is an empty one. Raises :class:`BadSetting`."""
    if not path:
        return Config()
    try:
        given = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as e:
        raise BadSetting(f"CTN_CONFIG: {path} cannot be read: {e.strerror}") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise BadSetting(f"CTN_CONFIG: {path} is not TOML: {e}") from e
    try:
        return msgspec.convert(given, Config)
    except msgspec.ValidationError as e:
        raise BadSetting(f"CTN_CONFIG: {path}: {_where(given) or e}") from e


def _where(given: dict[str, Any]) -> str:
    """What is wrong with the first table that is, by the table's name, which the error of the whole does not say."""
    if strange := sorted(given.keys() - _SECTIONS.keys()):
        return f"it has no section {strange[0]!r}: there are {', '.join(f'[{section}.NAME]' for section in _SECTIONS)}"
    for section, (key, type_) in _SECTIONS.items():
        tables = given[section] if isinstance(given.get(section), dict) else {}
        for name, table in tables.items():
            try:
                msgspec.convert(name, key)
            except msgspec.ValidationError:
                return f"[{section}.{name}]: a name is a letter from a to z, then at most 31 of a to z, 0 to 9 and -"
            try:
                msgspec.convert(table, type_)
            except msgspec.ValidationError as e:
                message, _, inside = str(e).partition(" - at ")
                fields = "" if inside or _FIELD not in message else f": it has {', '.join(type_.__struct_fields__)}"
                return f"[{section}.{name}]: {e}{fields}"
    return ""
