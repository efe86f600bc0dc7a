"""Values that are secret whatever they look like: those of this process's own environment, and those that were found here.

A password that was found beside its name is masked from then on wherever it stands alone: in an error, a claim, a line of the
log. This is the one thing that a process remembers of its texts; it is bounded, and it ends with the process.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from concertino.masking.addresses import credentials
from concertino.masking.mark import MARK

_LEAST = 8
"""Characters: what is shorter stands in many texts by chance."""
_LEAST_WORD = 16
"""Where it is of letters alone: ``password`` is many a password."""
_MOST = 256
"""Found values that are remembered: the latest."""
_NAMES = re.compile(r"(?i)(pass(word|wd)?|pwd|secret|token|credential|api_?key|access_?key|private_?key|_key|auth\w*|headers)$")
"""Variables that hold secrets. What ends in ``_FILE`` names a file, and is none."""
_own: set[str] = set()
_found: OrderedDict[str, None] = OrderedDict()


def learn(values: Iterable[str], *, forever: bool = False) -> None:
    """Mask ``values`` from now on, wherever they stand; those that are too short or too ordinary excepted."""
    for value in values:
        if len(value) < (_LEAST_WORD if value.isalpha() else _LEAST):
            continue
        if forever:
            _own.add(value)
            continue
        _found[value] = None
        _found.move_to_end(value)
        if len(_found) > _MOST:
            _found.popitem(last=False)


def learn_environment(environment: Mapping[str, str]) -> None:
    """What of ``environment`` is secret: by the names of its variables, and passwords in addresses whatever their name."""
    for name, value in environment.items():
        learn(credentials(value), forever=True)
        if _NAMES.search(name):
            # OTEL_EXPORTER_OTLP_HEADERS is `name=value,name=value`, and a header may be `Bearer <token>`.
            parts = [part.partition("=")[2] for part in value.split(",")] if name.endswith("HEADERS") else [value]
            learn((word for part in parts for word in (part, part.rpartition(" ")[2])), forever=True)


def without_known(text: str) -> str:
    """``text`` with every such value in it masked; itself where there is none."""
    if len(text) >= _LEAST:
        for values in (_own, _found):
            for value in values:
                if value in text:
                    text = text.replace(value, MARK)
    return text


def forget() -> None:
    """All of it: for tests."""
    _own.clear()
    _found.clear()
