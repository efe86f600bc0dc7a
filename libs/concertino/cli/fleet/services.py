"""What belongs to an installation on one machine."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from concertino.contracts.errors import BadSetting
from concertino.model.choice import has_key
from concertino.runtime.config import Config
from concertino.runtime.settings import Settings


@dataclass(frozen=True)
class Service:
    """One process. ``target`` is a module or a file, ``kinds`` is what it announces once it is ready (empty: unknown)."""

    name: str
    target: str
    kinds: tuple[str, ...] = ()


ALWAYS: tuple[Service, ...] = (
    Service("orchestrator", "concertino.orchestrator", ("plan",)),
    Service("synthesizer", "concertino.synthesizer", ("synthesize",)),
    Service("docs", "concertino.docs", ("docs",)),
    Service("code", "concertino.code", ("code",)),
)
WEB = Service("web", "concertino.web", ("web",))
GENERAL = Service("general", "concertino.general", ("general",))
SERVICES: tuple[Service, ...] = (*ALWAYS, WEB, GENERAL)
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)


def of_use(
    request: str, kinds: Collection[str], settings: Settings, config: Config, environment: Mapping[str, str]
) -> tuple[Service, ...]:
    """The services that can do something about ``request``, whose sources and plan name ``kinds``: each takes time to start.

    The web is of use where a page is named, or where it can be searched: by a provider, or by a model. Who takes on any role is
    of use where somebody can give it one, or where it has tools that no other has.
    """
    thinks = settings.model != "extractive" and has_key(environment)
    web = thinks or "web" in kinds or bool(settings.search) or bool(_ADDRESS.search(request))
    general = thinks or "general" in kinds or bool(config.mcp)
    return (*ALWAYS, *([WEB] if web else []), *([GENERAL] if general else []))


def own_workers(targets: Sequence[str]) -> tuple[Service, ...]:
    """Services for workers of a user's own, each a file or a module. Raises :class:`BadSetting` where there is none."""
    return _distinct([_own_worker(target) for target in targets])


def _own_worker(target: str) -> Service:
    path = Path(target).expanduser()
    if path.is_file():
        return Service(path.stem, str(path.absolute()))
    # Only the first part is looked for: finding `a.b` would import `a` into this process.
    top = target.partition(".")[0]
    if target.endswith(".py") or not top.isidentifier() or not (_here(top) or importlib.util.find_spec(top)):
        raise BadSetting(f"--worker {target!r} is neither a file nor a module that can be found from {Path.cwd()}")
    return Service(target.rpartition(".")[2], target)


def _here(module: str) -> bool:
    return Path(module).is_dir() or Path(f"{module}.py").is_file()


def _distinct(services: Sequence[Service]) -> tuple[Service, ...]:
    """Names told apart where two are alike: they stand before each line of the log."""
    taken: dict[str, int] = {service.name: 1 for service in SERVICES}
    found = []
    for service in services:
        number = taken[service.name] = taken.get(service.name, 0) + 1
        found.append(service if number == 1 else Service(f"{service.name}-{number}", service.target))
    return tuple(found)


def environment(base: Mapping[str, str], url: str) -> dict[str, str]:
    """``base`` with what the services of this fleet are told besides: their bus, and logs for people unless said otherwise."""
    return {"CTN_LOG_FORMAT": "human", **base, "CTN_NATS_URL": url, "PYTHONUNBUFFERED": "1"}
