"""All settings, read once, from environment variables that begin with ``CTN_``. Each field is one variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from concertino.bus.access import Access
from concertino.bus.topology import DAY, MAX_QUEUED
from concertino.contracts.errors import BadSetting
from concertino.contracts.subjects import Subjects

DEFAULT_URL = "nats://127.0.0.1:4222"
MISCONFIGURED = 2
"""Exit status of a service that no other start will help: somebody has to correct a setting."""


BYTES = f"a whole number of bytes, {1 << 20} (1 MiB) or more"


def default_cache() -> str:
    """Where indexes and clones are kept unless ``CTN_CACHE`` says otherwise."""
    return str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "concertino")


class Secret:
    """A text that is never printed: not by a log, an error or a debugger that shows what it finds."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "***" if self._text else "none"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


NO_SECRET = Secret()


class Settings(Struct, frozen=True, kw_only=True):
    """Durations in seconds. ``CTN_NATS_URL`` is ``nats_url``, and so on."""

    nats_url: Annotated[str, Meta(min_length=1)] = DEFAULT_URL
    """One server or several, separated by commas."""
    nats_user: str = ""
    """A user of the NATS server, with a password. See [security.md](security.md)."""
    nats_password: Secret = NO_SECRET
    """Of that user; or a file that holds it: ``CTN_NATS_PASSWORD_FILE``."""
    nats_token: Secret = NO_SECRET
    """Instead of a user; or a file that holds it: ``CTN_NATS_TOKEN_FILE``."""
    nats_nkey: str = ""
    """Instead of a user: a file that holds an NKey's seed."""
    nats_creds: str = ""
    """Instead of a user: a credentials file (JWT and NKey)."""
    nats_ca: str = ""
    """A file of certificates (PEM) that the server's must come from. With it, a connection is TLS or none."""
    nats_cert: str = ""
    """The client's certificate (PEM), where the server asks for one."""
    nats_key: str = ""
    """Its key (PEM)."""
    nats_tls_name: Annotated[
        str, Meta(pattern=r"^([A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*)?$", description="a server's name, without its port")
    ] = ""
    """The name that the server's certificate has, where the URL has another: through a tunnel or ``kubectl port-forward``."""
    nats_inbox: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?$", description="letters, digits, _ and -, in parts joined by dots"
        ),
    ] = ""
    """The prefix of subjects that answers come to, where the server's permissions prescribe one. Else ``_INBOX_ctn.<role>``."""
    provision: bool = True
    """Whether a service makes the streams and queues that it needs. False where its user may not: a job does it then."""
    prefix: Annotated[
        str, Meta(pattern="^[a-z][a-z0-9_]{0,15}$", description="a letter from a to z, then at most 15 of a to z, 0 to 9 and _")
    ] = "ctn"
    """Of every subject, stream and bucket: installations with different prefixes can share an account."""
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1
    """Copies of each stream, in a cluster. Where streams are there, services make more, and only
    ``python -m concertino.runtime.provision`` fewer."""
    keep: Annotated[float, Meta(ge=60)] = 8 * DAY
    """How long the log of a task, its evidence and its results stay. No task may take longer than a day less than that (than
    half of it, where that is more): what is deleted has no outcome. It is for whoever provisions, and for the orchestrators.
    Where streams are there, services make it longer, and only ``python -m concertino.runtime.provision`` shorter; so does
    ``concertino up`` with a server of its own, where no task is older."""
    max_queued: Annotated[int, Meta(ge=1, le=100_000_000)] = MAX_QUEUED
    """Pieces of work that each queue (of one kind, in one lane) holds at the most, waiting or under way. Where one is full,
    tasks that need it are refused until there is room; all are, where about as many facts wait for orchestrators. It is for
    whoever provisions, and the last who does sets it for all."""
    lease: Annotated[float, Meta(ge=0.5, le=600)] = 15.0
    """After which work of a worker that fell silent goes to another."""
    attempts: Annotated[int, Meta(ge=1, le=50)] = 4
    """How often one piece of work is begun before it counts as failed. What a leaving worker hands back does not count."""
    hedge: Annotated[
        str,
        Meta(
            pattern=r"^ *([^=,]+= *)?(auto|off|[0-9.e+]+) *(, *([^=,]+= *)?(auto|off|[0-9.e+]+) *)*$",
            description="auto, off or seconds (at least 1), for all kinds or some: auto,web=30",
        ),
    ] = "auto"
    """After how many seconds of work a subtask is slow: another worker makes a second attempt beside it then, and the result
    that is first counts. ``auto``: learned from the latest of its kind; ``off``: never. By kind: ``auto,web=30,code=off``. At
    most one in five is hedged (mostly one in seven, for about 6 % more time of models), and nothing with a limit of tokens
    or cost. For orchestrators."""
    grace: Annotated[float, Meta(ge=0, le=3600)] = 20.0
    """How long running work may go on after SIGTERM."""
    slots: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """Pieces of work at once in one worker process. 0: what the worker says itself."""
    model: Literal["auto", "extractive", "anthropic"] = "auto"
    """Who thinks. ``anthropic``: Claude, with the key in ``ANTHROPIC_API_KEY``. ``extractive`` plans by rules, retrieves and
    quotes; it needs no key. ``auto``: the first where there is a key, else the second."""
    max_cost: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    """US dollars that any task may spend on models, whatever its caller allows it. 0: no limit. It is for the orchestrators."""
    config: str = ""
    """A TOML file for what needs more than a line: models by kind, prices, MCP servers."""
    search: str = ""
    """Who searches the web where the model's provider does not: ``searxng:https://...``, ``brave`` or ``tavily``. Their keys
    are in ``BRAVE_API_KEY`` and ``TAVILY_API_KEY``."""
    allow_networks: str = ""
    """Private networks that pages may come from all the same, as ``10.1.0.0/16,127.0.0.0/8``. Else private, loopback,
    link-local and metadata addresses are refused."""
    cache: str = msgspec.field(default_factory=default_cache)
    """Where indexes and clones are kept; and the tasks of ``concertino up``, unless it is given ``--store``."""
    clone_bytes: Annotated[int, Meta(ge=1 << 20, description=BYTES)] = 1 << 30
    """Of one repository: what is fetched of it, and again its files. What is larger is not cloned."""
    cache_bytes: Annotated[int, Meta(ge=1 << 20, description=BYTES)] = 10 << 30
    """Of all clones and indexes below ``CTN_CACHE`` together, of all processes that share it. Those that nobody uses make room,
    least recently used first; where that is not enough, work is tried again later. What is larger, alone or
    with what the same subtask has open, is refused."""
    source_roots: str = "/"
    """Folders (separated by ``:``) that a task's local sources must lie in."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Where ``/livez``, ``/readyz`` and ``/metrics`` are answered, over HTTP. 0: nowhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged, to standard error."""
    log_format: Literal["auto", "human", "json"] = "auto"
    """``auto`` is ``human`` on a terminal and ``json`` elsewhere."""

    @property
    def subjects(self) -> Subjects:
        return Subjects(self.prefix)

    def secrets(self) -> list[str]:
        """What must be told to nobody, wherever it was given: for :func:`concertino.masking.learn`."""
        values = (getattr(self, name) for name in self.__struct_fields__)
        return [value.reveal() for value in values if isinstance(value, Secret)]

    def access(self, role: str) -> Access:
        """How ``role`` (``client``, ``orchestrator``, a kind of worker, ...) connects to the bus."""
        return Access(
            user=self.nats_user,
            password=self.nats_password.reveal(),
            token=self.nats_token.reveal(),
            nkey=self.nats_nkey,
            creds=self.nats_creds,
            ca=self.nats_ca,
            cert=self.nats_cert,
            key=self.nats_key,
            tls_name=self.nats_tls_name,
            inbox=self.nats_inbox or self.subjects.inbox(role),
        )


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in ``environment`` (default: the process's own). Raises :class:`BadSetting`, which names the variable."""
    environment = os.environ if environment is None else environment
    given = {
        name: environment[variable] for name in Settings.__struct_fields__ if (variable := f"CTN_{name.upper()}") in environment
    }
    for name in (field.name for field in msgspec.structs.fields(Settings) if field.type is Secret):
        if file := environment.get(f"CTN_{name.upper()}_FILE"):
            if name in given:
                raise BadSetting(f"CTN_{name.upper()} and CTN_{name.upper()}_FILE: give one of them")
            given[name] = _content(f"CTN_{name.upper()}_FILE", file)
    try:
        return msgspec.convert(given, Settings, strict=False, dec_hook=lambda type_, value: type_(value))
    except msgspec.ValidationError as e:
        message, _, path = str(e).partition(" - at `$.")
        name = path.rstrip("`")
        raise BadSetting(f"CTN_{name.upper()}: {_wanted(name, given[name]) or message}") from e


def _wanted(name: str, value: str) -> str:
    """What the field ``name`` takes in place of ``value``, where there are better words for it than the type has."""
    hint = get_type_hints(Settings, include_extras=True)[name]
    if get_origin(hint) is Literal:
        *others, last = get_args(hint)
        return f"{value!r} is none of its values: write {', '.join(others)} or {last}"
    forms = [meta.description for meta in getattr(hint, "__metadata__", ()) if meta.description]
    return f"{value!r} is not what it has to be: {forms[0]}" if forms else ""


def _content(variable: str, file: str) -> str:
    """A secret's file, without the line end that editors leave there."""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as e:
        raise BadSetting(f"{variable}: {file} cannot be read: {getattr(e, 'strerror', None) or 'it is no text'}") from e
