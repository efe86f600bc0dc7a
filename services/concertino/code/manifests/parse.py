"""Which files are manifests, and who reads each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice

from concertino.code.manifests import go, java, javascript, python, rust
from concertino.code.manifests.declared import Declared

MOST_DECLARED = 2_000
"""No person keeps more, and each is searched for in the text."""

_PARSERS: dict[str, Callable[[str], Iterable[Declared]]] = {
    "pyproject.toml": python.pyproject,
    "setup.cfg": python.setup_cfg,
    "package.json": javascript.package,
    "Cargo.toml": rust.cargo,
    "go.mod": go.module,
    "pom.xml": java.pom,
}
_REQUIREMENTS = re.compile(r"(.*[-_.])?(requirements|constraints)([-_.].*)?\.(txt|in)")


def is_manifest(path: str) -> bool:
    *folders, name = path.split("/")
    return name in _PARSERS or is_metadata(path) or is_vendored(path) or _is_requirements(folders, name)


def is_metadata(path: str) -> bool:
    """Whether it says what an installed Python distribution is and needs."""
    return path.endswith(".dist-info/METADATA")


def is_vendored(path: str) -> bool:
    """Whether it lists the packages whose code a project ships as its own, as pip and setuptools do."""
    *folders, name = path.split("/")
    return bool(folders) and folders[-1].strip("_") in ("vendor", "vendored") and name in ("vendor.txt", "vendored.txt")


def parse(path: str, text: str) -> list[Declared]:
    """The first MOST_DECLARED entries of the manifest ``path``, in its order.

    ValueError, with the parser's reason, where it cannot be read.
    """
    parser = python.metadata if is_metadata(path) else _PARSERS.get(path.rpartition("/")[2], python.requirements)
    try:
        return list(islice(parser(text), MOST_DECLARED))
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e


def _is_requirements(folders: list[str], name: str) -> bool:
    return _REQUIREMENTS.fullmatch(name) is not None or (
        bool(folders) and folders[-1] == "requirements" and name.endswith(".txt")
    )
