"""What is publicly known against a release, from a short list that comes with this service: see ``advisories.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from concertino.contracts.messages import Severity

Ecosystem = Literal["pypi", "npm", "maven", "go", "cargo"]


class Advisory(Struct, frozen=True):
    """``affected``: alternatives of version specifiers, joined by ``||``. ``fixed`` is empty where no release is.

    ``module``: where the weakness is, if copies of the package may come without that.
    """

    package: str
    affected: str
    fixed: str
    id: str
    severity: Severity
    what: str
    ecosystem: Ecosystem = "pypi"
    module: str = ""

    def hits(self, version: str) -> bool:
        """Whether ``version`` is affected; a version that cannot be read is not said to be."""
        try:
            exact = Version(version)
            return any(SpecifierSet(part.strip()).contains(exact, prereleases=True) for part in self.affected.split("||"))
        except (InvalidVersion, InvalidSpecifier):
            return False


class Abandoned(Struct, frozen=True):
    """A package that nobody should begin to depend on any more."""

    package: str
    instead: str
    why: str
    ecosystem: Ecosystem = "pypi"


class _Data(Struct, frozen=True):
    advisory: tuple[Advisory, ...]
    abandoned: tuple[Abandoned, ...]


def against(ecosystem: Ecosystem, package: str, version: str) -> list[Advisory]:
    """Every advisory that is known against this release, the gravest first."""
    known = _advisories().get((ecosystem, normal(ecosystem, package)), ())
    return [advisory for advisory in known if advisory.hits(version)]


def abandoned(ecosystem: Ecosystem, package: str) -> Abandoned | None:
    """Why not to depend on ``package``, if there is a reason."""
    wanted = normal(ecosystem, package)
    return next((a for a in _data().abandoned if (a.ecosystem, a.package) == (ecosystem, wanted)), None)


def normal(ecosystem: Ecosystem, package: str) -> str:
    """The name by which its registry knows it."""
    return re.sub(r"[-_.]+", "-", package).lower() if ecosystem == "pypi" else package


@cache
def _data() -> _Data:
    return msgspec.convert(tomllib.loads(Path(__file__).with_name("advisories.toml").read_text("utf-8")), _Data)


@cache
def _advisories() -> Mapping[tuple[Ecosystem, str], tuple[Advisory, ...]]:
    def grave(advisory: Advisory) -> int:
        return ("critical", "high", "medium", "low", "info", "").index(advisory.severity)

    found: dict[tuple[Ecosystem, str], list[Advisory]] = {}
    for advisory in sorted(_data().advisory, key=grave):
        found.setdefault((advisory.ecosystem, advisory.package), []).append(advisory)
    return {key: tuple(listed) for key, listed in found.items()}
