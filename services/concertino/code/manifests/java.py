"""pom.xml, as it stands: parents and properties are not resolved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

from concertino.code.manifests.declared import Declared

_EXACT = re.compile(r"\[?\d[\w.-]*\]?")


def pom(text: str) -> Iterator[Declared]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it declares entities, and these are not expanded")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: reader.start(name, parser.CurrentLineNumber)
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(text, True)
    except expat.ExpatError as e:
        raise ValueError(str(e)) from e
    return iter(reader.found)


class _Reader:
    def __init__(self) -> None:
        self.found: list[Declared] = []
        self._path: list[str] = []
        self._fields: dict[str, str] = {}
        self._line = 0

    def start(self, name: str, line: int) -> None:
        self._path.append(name.rpartition(":")[2])
        if self._path[-2:] == ["dependencies", "dependency"]:
            self._fields, self._line = {}, line

    def characters(self, data: str) -> None:
        if self._path[-3:-1] == ["dependencies", "dependency"]:
            self._fields[self._path[-1]] = self._fields.get(self._path[-1], "") + data.strip()

    def end(self, _: str) -> None:
        if self._path[-2:] == ["dependencies", "dependency"] and "artifactId" in self._fields:
            version = self._fields.get("version", "")
            name = f"{self._fields.get('groupId', '')}:{self._fields['artifactId']}"
            exact = _EXACT.fullmatch(version) is not None
            self.found.append(Declared(name, version, exact, self._fields.get("scope", ""), self._line))
        self._path.pop()
