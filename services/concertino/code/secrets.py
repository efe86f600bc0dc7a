"""Credentials left in files. What is found is told by place and type: the value itself never leaves this module.

The patterns are those of detect-secrets, line by line, without its verification, which would ask servers. What they find is
then judged: a placeholder, an identifier and a word of prose are no credentials.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from detect_secrets.filters import heuristic
from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.cloudant import CloudantDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP, REGEX_BY_FILETYPE, KeywordDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector
from detect_secrets.util.filetype import determine_file_type
from msgspec import Struct, structs

from concertino.code.pieces import LONGEST_LINE
from concertino.contracts.messages import Passage

MOST_SECONDS = 60.0
MARK = "********"
_MOST_SHOWN = 120
KEYWORD, BASIC_AUTH, PRIVATE_KEY = "Secret Keyword", "Basic Auth Credentials", "Private Key"
JWT = "JSON Web Token"
_LEAST_TOKEN = 16
_GOES_ON = re.compile(r"[\w+/=.-]{0,400}")
"""A pattern may end before the credential does."""

_CANDIDATE = re.compile(
    r"(?i:key|pass|pwd|secret|token|credential|contrase|cloudant|auth|://[^\s/:]{1,200}:[^\s/]{1,200}@)"
    r"|A[A-Z]{3}[0-9A-Z]{16}|AKC|\bAP[\dABCDEF]|gh[pousr]_|gl[a-z]{2,20}-|eyJ|-us\d|sk-|PRIVATE KEY|PuTTY-User"
    r"|pypi-|SG\.|xox|hooks\.slack|sq0|[rs]k_live|\d{8,10}:[\w-]{35}|\b(?:AC|SK)[a-z0-9]{32}|[MNO][\w-]{23,25}\."
)
"""What a line holds that is worth looking at: any other one is passed over at a fraction of the cost. It is tried on whole
files, of whatever they hold: every repetition is bounded."""
_ASSIGNED = re.compile(
    r"(?i:token|access_?key|credential|auth_?key)\w{0,20}[\"'\]]{0,2}\s{0,4}(?::=|[:=])\s{0,4}[\"']([^\"'\s]{16,200})[\"']"
)
_PLACEHOLDER = re.compile(
    r"(?i)example|sample|placeholder|change.?me|your|dummy|fake|mock|test|foo|bar\b|lorem|redacted|insert|replace|todo|none|null"
    r"|user(name)?$|pass(word|wd)?$|secret$|token$|x{4,}|\*{3,}|\.{3,}|0{6,}|1234|abcd|[<>{}$()%\[\]\\]"
)
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
_BODY = re.compile(r"(?://)?[\s\"'#*>|-]{0,40}[A-Za-z0-9+/=]{40,}(?:\\n)?[\s\"',;\\)]{0,40}$")
_RUN = re.compile(r"[A-Za-z0-9+/=]{40}")
_INSIDE = re.compile(r"PRIVATE KEY(?: BLOCK)?-----(?:\\r)?\\n[A-Za-z0-9+/=\\]{40,}")


class Secret(Struct, frozen=True):
    """What looks like a credential. ``masked`` is its line up to where the value begins."""

    source: str
    line: int
    type: str
    masked: str


class Secrets(Struct, frozen=True):
    """``note`` says what is missing, if anything is."""

    found: tuple[Secret, ...]
    note: str = ""


class _Hit(Struct, frozen=True):
    line: int
    type: str
    values: tuple[str, ...]
    """Literal parts of the line; empty: the whole line."""


def scan(texts: Iterable[tuple[str, str]], *, limit: int, seconds: float = MOST_SECONDS) -> Secrets:
    """The first ``limit`` likely credentials in ``texts`` (path and text). Nothing is verified with any server.

    Lines of more than LONGEST_LINE characters are left out: no person wrote them.
    """
    found: list[Secret] = []
    until = time.monotonic() + seconds
    for path, text in texts:
        if time.monotonic() > until:
            return Secrets(tuple(found), f"stopped after {seconds:g} seconds, at {path}: name fewer files")
        if _CANDIDATE.search(text):
            lines = text.split("\n")
            found.extend(Secret(path, h.line, h.type, _up_to(lines[h.line - 1], h.values)) for h in _hits(path, lines))
        if len(found) > limit:
            return Secrets(tuple(found[:limit]), f"there are more than {limit}: name fewer files")
    return Secrets(tuple(found))


def masked(passage: Passage) -> Passage:
    """``passage`` with every likely credential in it made unreadable; itself where there is none."""
    if not _CANDIDATE.search(passage.text) and not _RUN.search(passage.text):
        return passage
    lines = passage.text.split("\n")
    changed = False
    for hit in _hits(passage.source, lines):
        line = lines[hit.line - 1]
        for value in hit.values:
            line = line.replace(value, MARK)
        lines[hit.line - 1] = line if hit.values else MARK
        changed = True
    for number in _bodies(lines):
        lines[number] = MARK
        changed = True
    return structs.replace(passage, text="\n".join(lines)) if changed else passage


def _hits(path: str, lines: Sequence[str]) -> Iterator[_Hit]:
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE or not _CANDIDATE.search(line):
            continue
        if _BEGIN.search(line):
            if _INSIDE.search(line):
                yield _Hit(number, PRIVATE_KEY, ())
            elif any(_BODY.match(next_) for next_ in lines[number : number + 3]):
                yield _Hit(number, PRIVATE_KEY, (_MARKED,))
            continue
        by_type: dict[str, list[str]] = {}
        for type_, value in _values(path, line):
            by_type.setdefault(type_, []).append(value)
        if len(by_type) > 1:
            by_type.pop(KEYWORD, None)  # another one knows better what it is
        for type_, values in sorted(by_type.items()):
            yield _Hit(number, type_, tuple(values))


_MARKED = "\0"
"""A value that stands in no line: the credential is below this one, and :func:`_bodies` finds it."""


def _bodies(lines: Sequence[str]) -> Iterator[int]:
    """Indices of the lines that are the inside of a key: a run of them after its head, or as long as only such a thing is."""
    run: list[int] = []
    after = False
    for number, line in enumerate([*lines, ""]):
        if len(line) <= LONGEST_LINE and _BODY.match(line):
            run.append(number)
            continue
        if len(run) >= (1 if after else 4):
            yield from run
        after = bool(_BEGIN.search(line)) or (after and not run and bool(re.fullmatch(r"[\w-]+: .*|\s*", line)))
        run = []


def _values(path: str, line: str) -> Iterator[tuple[str, str]]:
    for plugin in _plugins():
        for value in _matches(plugin, line):
            if _is_credible(plugin.secret_type, value):
                yield plugin.secret_type, value
    kinds = REGEX_BY_FILETYPE.get(determine_file_type(path), QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP)
    keyed = [*KeywordDetector().analyze_string(line, kinds), *_ASSIGNED.findall(line)]
    if keyed and not heuristic.is_indirect_reference(line):
        yield from ((KEYWORD, value) for value in dict.fromkeys(keyed) if _is_random(value))


def _matches(plugin: RegexBasedDetector, line: str) -> Iterator[str]:
    """The whole of each value. The plugin's own findings may be a part of it alone: what a pattern has in brackets."""
    for pattern in plugin.denylist:
        for match in pattern.finditer(line):
            inner = max((group for group in match.groups() if group), key=len, default="")
            if plugin.secret_type == BASIC_AUTH or len(inner) >= _LEAST_TOKEN:
                yield inner
            elif plugin.secret_type != JWT or JwtTokenDetector.is_formally_valid(match[0]):
                rest = _GOES_ON.match(line, match.end())
                yield (match[0] + (rest[0] if rest else "")).strip(" \t\"'=:")


@cache
def _plugins() -> tuple[RegexBasedDetector, ...]:
    """Those with a form of their own. Entropy alone is left out: most long strings of that kind are digests and identifiers."""
    return (
        ArtifactoryDetector(),
        AWSKeyDetector(),
        AzureStorageKeyDetector(),
        BasicAuthDetector(),
        CloudantDetector(),
        DiscordBotTokenDetector(),
        GitHubTokenDetector(),
        GitLabTokenDetector(),
        JwtTokenDetector(),
        MailchimpDetector(),
        NpmDetector(),
        OpenAIDetector(),
        PypiTokenDetector(),
        SendGridDetector(),
        SlackDetector(),
        SquareOAuthDetector(),
        StripeDetector(),
        TelegramBotTokenDetector(),
        TwilioKeyDetector(),
    )


def _is_credible(type_: str, value: str) -> bool:
    """Whether what has the form of a credential may be one. People choose the passwords in URLs: they need not be random."""
    if _PLACEHOLDER.search(value) or heuristic.is_sequential_string(value):
        return False
    return (len(value) >= 6 and not value.isalpha()) if type_ == BASIC_AUTH else _entropy(value) >= 2.5


def _is_random(value: str) -> bool:
    """Whether ``value`` is made up of characters as a password generator, or a careful person, would choose them."""
    if len(value) < 8 or any(c.isspace() for c in value) or _PLACEHOLDER.search(value):
        return False
    if not (re.search(r"[A-Za-z]", value) and re.search(r"\d", value)) or "://" in value:
        return False
    if heuristic.is_sequential_string(value) or heuristic.is_potential_uuid(value):
        return False
    words = [word for word in re.split(r"[\W_]+", value) if word]
    if all(re.fullmatch(r"[A-Za-z]*\d{0,3}|\d+", word) for word in words) and len(words) > 1:
        return False  # a name in parts, as ssh-rsa-2048 and utf_8.v1
    return _entropy(value) >= 3.0


def _entropy(value: str) -> float:
    """Bits a character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())


def _up_to(line: str, values: Sequence[str]) -> str:
    """The line up to the first value, or nothing of it where a value is not found as it stands."""
    if values == (_MARKED,):
        return f"{_BEGIN.search(line)[0]}{MARK}" if _BEGIN.search(line) else MARK  # type: ignore[index]
    places = [line.find(value) for value in values] or [-1]
    return (line[: min(places)].strip()[:_MOST_SHOWN] if min(places) >= 0 else "") + MARK
