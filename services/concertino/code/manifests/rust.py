"""Cargo.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from concertino.code.manifests.declared import Declared, Lines
from concertino.code.manifests.shape import mapping

_GROUPS = {"dependencies": "", "dev-dependencies": "dev", "build-dependencies": "build"}
_EXACT = re.compile(r"=\s*\d+\.\d+\.\d+[\w.+-]*")


def cargo(text: str) -> Iterator[Declared]:
    data = tomllib.loads(text)
    lines = Lines(text)
    yield from _tables(data, "", lines)
    yield from _tables(mapping(data.get("workspace")), "workspace.", lines)
    for target, tables in mapping(data.get("target")).items():
        yield from _tables(mapping(tables), f"target.'{target}'.", lines)


def _tables(holder: Mapping[str, Any], prefix: str, lines: Lines) -> Iterator[Declared]:
    for key, group in _GROUPS.items():
        lines.section(f"[{prefix}{key}", f"[{prefix.replace(chr(39), chr(34))}{key}")
        for name, wanted in mapping(holder.get(key)).items():
            constraint = wanted if isinstance(wanted, str) else str(mapping(wanted).get("version", ""))
            yield Declared(name, constraint, _EXACT.fullmatch(constraint) is not None, group, lines.find(name))
