"""``python -m concertino.runtime.users``: the users of an installation, ready for the NATS server's configuration.

Prints the block ``accounts``, to be included by the server (``include users.conf``). Each user's password is a variable that
the server reads from its own environment, ``CTN_NATS_PASSWORD_<USER>``; a user whose public NKey is given has that instead.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from concertino.bus.permissions import Role, accounts, roles
from concertino.contracts.errors import BadSetting, ConcertinoError
from concertino.contracts.messages import Kind
from concertino.contracts.subjects import SYNTHESIZE, Subjects
from concertino.runtime.settings import settings

KINDS = ("web", "code", "docs", "general")
"""Those that ship."""

_PUBLIC_NKEY = re.compile(r"U[A-Z2-7]{55}")
_VARIABLE = re.compile(r'"(\$[A-Z0-9_]+)"')


def block(subjects: Subjects, kinds: Sequence[str], nkeys: Mapping[str, str]) -> str:
    """The configuration. ``nkeys`` are public keys by user. Raises :class:`BadSetting`."""
    everybody = list(roles(subjects, _checked(kinds)).values())
    if unknown := sorted(set(nkeys) - {role.user for role in everybody}):
        raise BadSetting(f"there is no user {', '.join(unknown)}: {', '.join(role.user for role in everybody)}")
    found = accounts(subjects, everybody)
    for role in everybody:
        found[role.account].setdefault("users", []).append({**_identity(role, nkeys), "permissions": role.permissions()})
    # The server's configuration is JSON, but for variables, which stand without quotes.
    return "accounts: " + _VARIABLE.sub(r"\1", json.dumps(found, indent=1)) + "\n"


def template() -> str:
    """The same as data, for the chart: ``{prefix}``, ``{PREFIX}`` and ``{kind}`` are to be filled in."""
    subjects = Subjects("{prefix}")
    everybody = roles(subjects, ["{kind}"])
    named = {{SYNTHESIZE: "synthesizer", "{kind}": "worker"}.get(name, name): role for name, role in everybody.items()}
    return json.dumps(
        {
            "roles": {
                name: {
                    "user": role.user,
                    "account": role.account,
                    "permissions": role.permissions(),
                }
                for name, role in named.items()
            },
            "accounts": accounts(subjects, everybody.values()),
        },
        indent=1,
    )


def variable(user: str) -> str:
    """The environment variable, of the server, that holds the password of ``user``."""
    return f"CTN_NATS_PASSWORD_{user.upper().replace('-', '_')}"


def _identity(role: Role, nkeys: Mapping[str, str]) -> dict[str, Any]:
    nkey = nkeys.get(role.user)
    return {"nkey": nkey} if nkey else {"user": role.user, "password": f"${variable(role.user)}"}


def _checked(kinds: Sequence[str]) -> Sequence[str]:
    for kind in kinds:
        try:
            msgspec.convert(kind, Kind)
        except msgspec.ValidationError as e:
            raise BadSetting(f"{kind!r} is no kind: use 1 to 32 of a-z, 0-9, '-' and '_', a letter first") from e
    if len({variable(kind) for kind in kinds}) < len(set(kinds)):
        raise BadSetting("two kinds differ in '-' and '_' alone, and would have one password: rename one")
    return kinds


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where the configuration cannot be made, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m concertino.runtime.users", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kinds", default=",".join(KINDS), help="kinds of workers, separated by commas (default: %(default)s)")
    parser.add_argument("--nkey", action="append", default=[], metavar="USER=KEY", help="a user's public NKey, no password")
    parser.add_argument("--template", action="store_true", help="as JSON with placeholders, for the chart")
    given = parser.parse_args(arguments)
    try:
        if given.template:
            text = template() + "\n"
        else:
            kinds = [kind.strip() for kind in given.kinds.split(",") if kind.strip()]
            text = block(Subjects(settings().prefix), kinds, dict(_nkey(text) for text in given.nkey))
    except ConcertinoError as e:
        sys.stderr.write(f"users: {e}\n")
        return 1
    sys.stdout.write(text)
    return 0


def _nkey(text: str) -> tuple[str, str]:
    user, _, key = text.partition("=")
    if not _PUBLIC_NKEY.fullmatch(key):
        raise BadSetting(f"--nkey {user}=: that is no public NKey of a user: it begins with U and has 56 characters")
    return user, key


if __name__ == "__main__":
    sys.exit(main())
