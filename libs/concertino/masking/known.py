"""Values that are secret whatever they look like: those of this process's own environment, and those that were found here.

A password that was found beside its name is masked from then on wherever it stands alone: in an error, a claim, a line of the
log. Each piece of work remembers what it found itself, so that no source can spoil the words of another's report. What leaves
a process beside all work, such as spans, is masked of all that was found lately. Both are bounded.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextvars import ContextVar

from concertino.masking.addresses import credentials
from concertino.masking.mark import MARK

_LEAST = 8
"""Characters: what is shorter stands in many texts by chance."""
_LEAST_WORD = 16
"""Where it is of letters alone: ``password`` is many a password."""
_MOST = 256
"""Found values that are remembered: the latest."""
_SURE = re.compile(
    r"(?i)(?:^|_)\w*(?:password|passwd|passphrase|secret|token|credentials?|api_?key|access_?key|private_?key|authorization)(?:_|$)"
)
"""Variables that hold secrets, whatever these look like, paths excepted."""
_LIKELY = re.compile(r"(?i)(?:^|_)(?:pass|pw|pat|auth|key)(?:_|$)|_pwd(?:_|$)")
"""Variables that hold one if it looks like one. ``PWD`` alone is a folder."""
_ABOUT = re.compile(r"(?i)_(?:file|path|dir|folder|url|uri|host|name|user|email|id|type|sock|public_key|key_id)$")
"""What says something of a secret, such as where it is, and is none."""
_PATH = re.compile(r"(?:~|\.{0,2})[/\\]|[A-Za-z]:[/\\]")
_AWS = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[A-Za-z0-9+/]{40}")
"""The one sort of key that can begin as a path does."""
_WORD = re.compile(r"[A-Za-z]*\d{0,3}|\d+")
_PARTS = re.compile(r"[-_.:,;/\s]+")
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token)\s+")
_own: set[str] = set()
_found: OrderedDict[str, None] = OrderedDict()
_here: ContextVar[OrderedDict[str, None] | None] = ContextVar("found_here", default=None)


class remembering:  # noqa: N801  (it is used as a function, and is a class to cost little)
    """Within this, and in what is begun within it, what was found elsewhere is not masked; what is found, to its end."""

    def __enter__(self) -> None:
        self._token = _here.set(OrderedDict())

    def __exit__(self, *_: object) -> None:
        _here.reset(self._token)


def learn(values: Iterable[str], *, forever: bool = False) -> None:
    """Mask ``values`` from now on, wherever they stand; those that are too short or too ordinary excepted.

    ``forever``: for the life of the process, in all that it does. They are its own.
    """
    for value in values:
        if len(value) < (_LEAST_WORD if value.isalpha() else _LEAST):
            continue
        if forever:
            _own.add(value)
            continue
        for found in (_found, _here.get()):
            if found is not None:
                found[value] = None
                found.move_to_end(value)
                if len(found) > _MOST:
                    found.popitem(last=False)


def learn_environment(environment: Mapping[str, str]) -> None:
    """What of ``environment`` is secret: by the names of its variables, and passwords in addresses whatever their name."""
    for name, value in environment.items():
        learn(credentials(value), forever=True)
        if name.upper().endswith("HEADERS"):  # OTEL_EXPORTER_OTLP_HEADERS is `name=value,name=value`
            headers = [part.partition("=") for part in value.split(",")]
            learn_environment({header.strip().replace("-", "_"): held.strip() for header, _, held in headers})
        elif _is_secret(name, held := _SCHEME.sub("", value, count=1)):
            learn((value, held), forever=True)


def _is_secret(name: str, value: str) -> bool:
    if _ABOUT.search(name) or (_PATH.match(value) and not _AWS.fullmatch(value)) or "://" in value:
        return False
    return bool(_SURE.search(name)) or (bool(_LIKELY.search(name)) and not all(map(_WORD.fullmatch, _PARTS.split(value))))


def without_known(text: str) -> str:
    """``text`` with every such value in it masked; itself where there is none."""
    if len(text) >= _LEAST:
        here = _here.get()
        for values in (_own, _found if here is None else here):
            for value in tuple(values):  # threads of the same work may be finding more
                if value in text:
                    text = text.replace(value, MARK)
    return text


def forget() -> None:
    """All of it: for tests."""
    _own.clear()
    _found.clear()
