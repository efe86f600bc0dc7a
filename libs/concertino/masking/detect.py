"""Where in a text there are likely credentials. Pure.

Line by line: a pattern finds what has the form of one, or stands beside the word for one, and what it finds is then judged. A
placeholder, an identifier and a word of prose are no credentials.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

LONGEST_LINE = 2_000
"""Characters. No person wrote a longer line: it is looked at in windows of this length, which overlap by half."""
KEYWORD, BASIC_AUTH, PRIVATE_KEY = "Secret Keyword", "Basic Auth Credentials", "Private Key"

_WORDS = (
    *("key", "pass", "pwd", "secret", "token", "credential", "contrase", "cloudant", "auth", "bearer", "sig=", "signature="),
    *("hooks.slack", "putty-user", "://"),
)
_BEGINNINGS = (
    *("AKIA", "ASIA", "ABIA", "ACCA", "A3T", "AKC", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-"),
    *("glft-", "glsoat-", "glrt-", "GR1348941", "glcbt-", "glimt-", "glptt-", "glagent-", "gloas-", "eyJ", "sk-", "-us"),
    *("pypi-", "SG.", "xox", "XOX", "xapp-", "sq0", "k_live_", "k_test_", "whsec_", "AIza", "hf_", "_v1_", "AGE-SECRET"),
)
_SHAPES = re.compile(
    r"\bAP[\dA-F][A-Za-z0-9]{8}|\b(?:AC|SK)[a-z0-9]{32}|\b[MNO][\w-]{23,25}\.[\w-]{6}\.|\b\d{8,10}:[\w-]{35}"
    r"|\bS[AOUNC][A-Z2-7]{56}\b"
)
"""What a line holds that is worth looking at: words in any case, how tokens begin, and what else they look like. Any other line
is passed over at a fraction of the cost. It is tried on whole files, of whatever they hold: every repetition is bounded."""
_WORTH = re.compile(r"(?<!\S)(?=\S{6})\S*?[\d!#%&*+@^~]")
"""Something in one piece that is more than a word."""
_ASSIGNED = re.compile(
    r"(?i:token|access_?key|credential|auth_?key)\w{0,20}[\"'\]]{0,2}\s{0,4}(?::=|[:=])\s{0,4}[\"']([^\"'\s]{16,200})[\"']"
)
_BARE = re.compile(
    r"(?i)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[ _-]?key|access[ _-]?key|credentials?)\w{0,20}[\"'`*]{0,3}"
    r"\s{0,4}(?:[:=,;|]|\bis\b)[\s\"'`*]{0,4}([^\s\"'`,;<>|]{8,200})"
)
"""Where nothing is quoted: in prose, tables and settings."""
_CODE = re.compile(
    r"\.(?:cc?|cls|cpp|css?|cxx|dart|erl|exs?|go|h|hpp|hs|java|jl|[cm]?jsx?|kts?|lua|m|ml|php|p[lm]|py[ix]?|r|rb|rs|scala|scss|sql"
    r"|svelte|swift|tf|tsx?|vue|zig)$",
    re.IGNORECASE,
)
"""There a name beside such a word is a name."""
_PLACEHOLDER = re.compile(
    r"(?i)example|sample|placeholder|change.?me|your|dummy|fake|mock|test|foo|bar\b|lorem|redacted|insert|replace|todo|none|null"
    r"|user(name)?$|pass(word|wd)?$|secret$|token$|x{4,}|\*{3,}|\.{3,}|0{6,}|1234|abcd|[<>{}$()%\[\]\\]"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d")
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
_BODY = re.compile(r"(?://)?[\s\"'#*>|-]{0,40}[A-Za-z0-9+/=]{40,}(?:\\n)?[\s\"',;\\)]{0,40}$")
_RUN = re.compile(r"[A-Za-z0-9+/=]{40}")
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9+/])")
"""A line of base64, in 64 characters, but no list of digests, and no long name."""
_LEAST_RUN = 4
_PUBLIC = "-----BEGIN CERTIFICATE"
_INSIDE = re.compile(r"PRIVATE KEY(?: BLOCK)?-----(?:\\r)?\\n[A-Za-z0-9+/=\\]{40,}")
_ALL_IN_ONE = re.compile(r"PRIVATE KEY(?: BLOCK)?-----\s+[A-Za-z0-9+/=\s]{40,}")
"""A key whose line ends were lost: on a page, in a cell."""


class Hit(Struct, frozen=True):
    """A line, counted from 1, and what is secret in it."""

    line: int
    type: str
    values: tuple[str, ...]
    """Literal parts of the line; empty: the whole line."""
    below: bool = False
    """Whether it is in the lines below this one, which :func:`bodies` finds."""


def may_hold(text: str) -> bool:
    """Whether there can be any secret in ``text``. Most short texts are told from such in next to no time."""
    return _WORTH.search(text) is not None


def hits(path: str, text: str) -> Iterator[Hit]:
    """The likely credentials in ``text``, of the file ``path``; its name tells how passwords are written there."""
    numbers = _promising(text)
    lines = text.split("\n") if numbers else []
    for number in numbers:
        line = lines[number - 1]
        if _BEGIN.search(line):
            if _INSIDE.search(line) or _ALL_IN_ONE.search(line):
                yield Hit(number, PRIVATE_KEY, ())
            elif any(_BODY.match(next_) for next_ in lines[number : number + 3]):
                yield Hit(number, PRIVATE_KEY, (), below=True)
            continue
        by_type: dict[str, dict[str, None]] = {}
        for window in _windows(line):
            for type_, value in _values(path, window):
                by_type.setdefault(type_, {})[value] = None
        formed = [value for type_, values in by_type.items() if type_ != KEYWORD for value in values]
        for type_, values in sorted(by_type.items()):
            # Where another one knows better what it is, it is that.
            if own := [v for v in values if type_ != KEYWORD or not any(v in value for value in formed)]:
                yield Hit(number, type_, tuple(sorted(own, key=len, reverse=True)))


def bodies(text: str) -> list[int]:
    """Lines, counted from 1, that are the inside of a key: a run of them after its head, or as long as only such a thing is."""
    if not _RUN.search(text):
        return []
    found: list[int] = []
    run: list[int] = []
    after = public = False
    is_long = True
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if len(line) <= LONGEST_LINE and _BODY.match(line):
            run.append(number)
            is_long = is_long and bool(_MIXED.search(line))
            continue
        if run and (after or (len(run) >= _LEAST_RUN and is_long and not public)):
            found += run
        after = bool(_BEGIN.search(line)) or (after and not run and bool(re.fullmatch(r"[\w-]+: .*|\s*", line)))
        public = _PUBLIC in line
        run, is_long = [], True
    return found


def begins_key(line: str) -> str:
    """The head of a private key in ``line``, if there is one."""
    found = _BEGIN.search(line)
    return found[0] if found else ""


def _promising(text: str) -> list[int]:
    """The lines, counted from 1, that are worth looking at."""
    found: set[int] = set()
    lower = text.lower()
    for word in _WORDS:
        if word in lower:
            found.update(_lines_with(word, lower))
    for beginning in _BEGINNINGS:
        if beginning in text:
            found.update(_lines_with(beginning, text))
    found.update(text.count("\n", 0, match.start()) + 1 for match in _SHAPES.finditer(text))
    return sorted(found)


def _lines_with(part: str, text: str) -> Iterator[int]:
    number, end = 1, 0
    while end >= 0 and (at := text.find(part, end)) >= 0:
        number += text.count("\n", end, at)
        yield number
        end = text.find("\n", at)


def _windows(line: str) -> Iterator[str]:
    if len(line) <= LONGEST_LINE:
        yield line
        return
    for start in range(0, len(line), LONGEST_LINE // 2):
        window = line[start : start + LONGEST_LINE]
        if _promising(window):
            yield window


def _values(path: str, line: str) -> Iterator[tuple[str, str]]:
    from concertino.masking import plugins  # it takes a tenth of a second: once, where there is anything to look at

    if not may_hold(line):
        return
    for type_, value in plugins.formed(line):
        if _is_credible(type_, value):
            yield type_, value
    named = plugins.named(line, path) + _ASSIGNED.findall(line) if not plugins.is_indirect(line) else []
    yield from ((KEYWORD, value) for value in dict.fromkeys(named) if _is_random(value))
    if not _CODE.search(path.partition("?")[0]):
        bare = (value.rstrip(".:!?)") for value in _BARE.findall(line))
        yield from ((KEYWORD, value) for value in dict.fromkeys(bare) if value not in named and _is_bare(value))


def _is_credible(type_: str, value: str) -> bool:
    """Whether what has the form of a credential may be one. People choose the passwords in URLs: they need not be random."""
    from concertino.masking import plugins

    if _PLACEHOLDER.search(value) or plugins.is_sequential(value):
        return False
    return (len(value) >= 6 and not value.isalpha()) if type_ == BASIC_AUTH else _entropy(value) >= 2.5


def _is_random(value: str) -> bool:
    """Whether ``value`` is made up of characters as a password generator, or a careful person, would choose them."""
    from concertino.masking import plugins

    if len(value) < 8 or any(c.isspace() for c in value) or _PLACEHOLDER.search(value):
        return False
    if not (re.search(r"[A-Za-z]", value) and re.search(r"\d", value)) or "://" in value:
        return False
    if plugins.is_sequential(value) or plugins.is_uuid(value) or _TIME.match(value):
        return False
    words = [word for word in re.split(r"[\W_]+", value) if word]
    if all(re.fullmatch(r"[A-Za-z]*\d{0,3}|\d+", word) for word in words) and len(words) > 1:
        return False  # a name in parts, as ssh-rsa-2048 and utf_8.v1
    return _entropy(value) >= 3.0


def _is_bare(value: str) -> bool:
    """The same for what nothing marks as a literal: it is no name, no version and no path."""
    return _is_random(value) and not re.fullmatch(r"[A-Za-z]+\d{0,4}", value) and "/" not in value


def _entropy(value: str) -> float:
    """Bits a character."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
