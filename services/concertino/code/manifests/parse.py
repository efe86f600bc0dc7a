"""Which files are manifests, and who reads each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from concertino.code.manifests import go, java, javascript, python, rust
from concertino.code.manifests.declared import Declared

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
    return name in _PARSERS or _is_requirements(folders, name)


def parse(path: str, text: str) -> list[Declared]:
    """What the manifest ``path`` declares, in its order. ValueError, with the parser's reason, where it cannot be read."""
    try:
        return list(_PARSERS.get(path.rpartition("/")[2], python.requirements)(text))
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e


def _is_requirements(folders: list[str], name: str) -> bool:
    return _REQUIREMENTS.fullmatch(name) is not None or (
        bool(folders) and folders[-1] == "requirements" and name.endswith(".txt")
    )
