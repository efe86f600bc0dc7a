"""Credentials left in files, as observations. Their values are in none of them."""

from __future__ import annotations

from concertino.code.base import Base
from concertino.code.checks.shape import bounded, part_of, passage, several
from concertino.code.globs import matches
from concertino.code.kinds import reading_of
from concertino.code.secrets import Secret, scan
from concertino.contracts.messages import Severity
from concertino.masking import masked
from concertino.masking.detect import BASIC_AUTH, KEYWORD
from concertino.model.observation import Checked, Observation

TOPIC = "secrets"
_MOST = 100
_ADVICE = "Revoke it, then read it from the environment or a secret store: removing the line leaves it in the history."
_ADVICE_BESIDE = "Make sure that it opens nothing, and say so beside it; else revoke it."


def check(base: Base, path: str = "") -> Checked:
    """Every file that matches the glob ``path``; empty for all."""
    scanned = scan(base.texts(path), limit=_MOST)
    found, more = bounded([_observation(base, secret) for secret in scanned.found])
    left_out = ("the scan stopped early: too many files, or too many findings",) if scanned.note else ()
    return Checked(TOPIC, found, several(sum(matches(file, path) for file in base.files), "file"), (*left_out, *more))


def _observation(base: Base, secret: Secret) -> Observation:
    lines = base.text(secret.source).split("\n")
    beside = part_of(secret.source) in ("test", "aside") or _is_prose(secret.source)
    weak = secret.type in (KEYWORD, BASIC_AUTH)
    severity: Severity = "low" if beside else "medium" if weak else "high"
    article = "an" if secret.type[0] in "AO" else "a"
    what = {KEYWORD: "a password or key, going by its name", BASIC_AUTH: "a password in a URL"}.get(
        secret.type, f"{article} {secret.type}"
    )
    where = " (a test, an example or documentation)" if beside else ""
    return Observation(
        topic=TOPIC,
        claim=f"`{secret.source}`{where} holds what looks like {what}.",
        severity=severity,
        confidence=0.5 if weak or beside else 0.8,
        passages=(masked(passage(base, secret.source, lines, secret.line)),),
        advice=_ADVICE_BESIDE if beside else _ADVICE,
    )


def _is_prose(path: str) -> bool:
    reading = reading_of(path, "")
    return reading is not None and reading.prose
