"""package.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from concertino.code.manifests.declared import Declared, Lines
from concertino.code.manifests.shape import mapping

_GROUPS = {"dependencies": "", "devDependencies": "dev", "peerDependencies": "peer", "optionalDependencies": "optional"}
_EXACT = re.compile(r"=?v?\d+\.\d+\.\d+([-+][\w.+-]+)?")


def package(text: str) -> Iterator[Declared]:
    data = mapping(json.loads(text))
    lines = Lines(text)
    for key, group in _GROUPS.items():
        lines.section(f'"{key}"')
        for name, constraint in mapping(data.get(key)).items():
            if isinstance(constraint, str):
                yield Declared(name, constraint, _EXACT.fullmatch(constraint) is not None, group, lines.find(f'"{name}"'))
