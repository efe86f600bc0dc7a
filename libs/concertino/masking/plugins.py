"""The sorts of credentials that have a form of their own: those of detect-secrets, and a few that it does not know.

Entropy alone is left out: most long strings of that kind are digests and identifiers. The library is imported where a text is
first worth looking at: most processes never see one.
"""

from __future__ import annotations

import re
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

BASIC_AUTH, JWT = "Basic Auth Credentials", "JSON Web Token"
_LEAST_TOKEN = 16
_GOES_ON = re.compile(r"[\w+/=.-]{0,400}")
"""A pattern may end before the credential does."""


class _Prefixed(RegexBasedDetector):
    """Keys that say what they are by how they begin."""

    secret_type = "Service Token"  # noqa: S105  (what it is called)
    denylist = (
        re.compile(r"\bAIza[\w-]{35}"),  # Google
        re.compile(r"\bsk-(?:ant|proj|svcacct|or)-[\w-]{20,250}"),  # Anthropic, OpenAI, OpenRouter
        re.compile(r"\bgithub_pat_\w{50,120}"),
        re.compile(r"\bhf_[A-Za-z0-9]{30,60}"),  # Hugging Face
        re.compile(r"\bxapp-\d-[A-Z0-9]{5,20}-\d{5,20}-[a-f0-9]{32,128}"),  # Slack, of an app
        re.compile(r"\bdo[opr]_v1_[a-f0-9]{64}"),  # DigitalOcean
        re.compile(r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,70}"),
        re.compile(r"\bS[AOUNC][A-Z2-7]{56}\b"),  # seeds of NKeys
        re.compile(r"\b[rs]k_test_[0-9a-zA-Z]{24,99}|\bwhsec_[A-Za-z0-9+/=]{24,99}"),  # Stripe, beside its live keys
    )


class _Header(RegexBasedDetector):
    """What an HTTP request identifies itself with."""

    secret_type = "Authorization Header"  # noqa: S105  (what it is called)
    denylist = (
        re.compile(r"(?i)\bauthorization[\"']?\s{0,3}[:=,]\s{0,3}[\"']?(?:bearer|basic|token)\s{1,3}([\w+/=.~-]{16,400})"),
        re.compile(r"\b[Bb]earer\s{1,3}([\w+/=.~-]{20,400})"),
    )


class _Connection(RegexBasedDetector):
    """A connection string's password or key."""

    secret_type = BASIC_AUTH
    denylist = (
        re.compile(
            r"(?i);\s{0,3}(?:password|pwd|accountkey|sharedaccesskey|sharedsecret)\s{0,3}=\s{0,3}([^;\s\"'<>{}]{6,200})"
        ),
        re.compile(
            r"(?i)[?&](?:password|passwd|pwd|(?:access_|api_?|auth_?)?token|api_?key|client_?secret|sig|signature)=([\w%+/=.~-]{8,400})"
        ),
    )


@cache
def _plugins() -> tuple[RegexBasedDetector, ...]:
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
        _Prefixed(),
        _Header(),
        _Connection(),
    )


def formed(line: str) -> list[tuple[str, str]]:
    """Type and value of everything in ``line`` that has the form of a credential."""
    return [(plugin.secret_type, value) for plugin in _plugins() for value in _matches(plugin, line)]


def named(line: str, path: str) -> list[str]:
    """What ``line`` calls a password or key, as the language of the file ``path`` writes it."""
    kinds = REGEX_BY_FILETYPE.get(determine_file_type(path), QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP)
    return list(KeywordDetector().analyze_string(line, kinds))


def is_sequential(value: str) -> bool:
    """Whether it is a part of the alphabet, of the digits, or the like."""
    return bool(heuristic.is_sequential_string(value))


def is_uuid(value: str) -> bool:
    return bool(heuristic.is_potential_uuid(value))


def is_indirect(line: str) -> bool:
    """Whether what is assigned in ``line`` is the result of a call, or a part of something else."""
    return bool(heuristic.is_indirect_reference(line))


def _matches(plugin: RegexBasedDetector, line: str) -> list[str]:
    """The whole of each value. The plugin's own findings may be a part of it alone: what a pattern has in brackets."""
    found: list[str] = []
    for pattern in plugin.denylist:
        for match in pattern.finditer(line):
            inner = max((group for group in match.groups() if group), key=len, default="")
            if plugin.secret_type == BASIC_AUTH or len(inner) >= _LEAST_TOKEN:
                found.append(inner)
            elif plugin.secret_type != JWT or JwtTokenDetector.is_formally_valid(match[0]):
                rest = _GOES_ON.match(line, match.end())
                found.append((match[0] + (rest[0] if rest else "")).strip(" \t\"'=:"))
    return found
