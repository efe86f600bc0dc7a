"""Who connects to the bus, and how: a user's credentials, TLS, and where answers go. None of it is ever printed."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from msgspec import Struct

from concertino.contracts.errors import BadSetting


class Access(Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """At most one of user, token, NKey and credentials file. Empty: nothing of the kind."""

    user: str = ""
    password: str = ""
    token: str = ""
    nkey: str = ""
    """A file that holds an NKey's seed."""
    creds: str = ""
    """A file that holds a user's JWT and seed."""
    ca: str = ""
    """A file of certificates (PEM) that the server's must come from. Where it is given, the connection is TLS or none."""
    cert: str = ""
    key: str = ""
    """The client's own certificate and its key (PEM)."""
    tls_name: str = ""
    """Whom the server's certificate must name, in place of the URL's host. Where it is given, the connection is TLS or none."""
    inbox: str = ""
    """The prefix of subjects that answers come to."""

    def __repr__(self) -> str:
        return f"Access({', '.join(self.named()) or 'anonymous'})"

    def named(self) -> list[str]:
        """The ways to say who one is that are given."""
        return [name for name in ("user", "token", "nkey", "creds") if getattr(self, name)]

    def options(self) -> dict[str, Any]:
        """What nats-py is told. Raises :class:`BadSetting` for what cannot be used."""
        if len(self.named()) > 1:
            raise BadSetting(f"the NATS user is given by {' and '.join(self.named())}: give one of them")
        if self.password and not self.user:
            raise BadSetting("a password for NATS without a user: give CTN_NATS_USER, too")
        options: dict[str, Any] = {}
        if self.user:
            options |= {"user": self.user, "password": self.password}
        if self.token:
            options["token"] = self.token
        if self.nkey:
            options["nkeys_seed"] = _holding(self.nkey, "the NKey", "SU")
        if self.creds:
            options["user_credentials"] = _holding(self.creds, "the credentials file", "NATS USER JWT", "USER NKEY SEED")
        if tls := self.tls():
            options["tls"] = tls
        if self.tls_name:
            options["tls_hostname"] = self.tls_name
        if self.inbox:
            options["inbox_prefix"] = self.inbox
        return options

    def tls(self) -> ssl.SSLContext | None:
        """None: nothing is said about it, and a ``tls://`` URL is verified by the system's certificates."""
        if bool(self.cert) != bool(self.key):
            raise BadSetting("a client's certificate needs its key, and a key its certificate: CTN_NATS_CERT and CTN_NATS_KEY")
        if not self.ca and not self.cert and not self.tls_name:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.cert:
                # Without a callback OpenSSL would ask for the password of an encrypted key at the terminal, and wait.
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except (OSError, ValueError) as e:
            files = ", ".join(file for file in (self.ca, self.cert, self.key) if file)
            raise BadSetting(f"TLS to NATS: {files} cannot be used: {getattr(e, 'strerror', None) or type(e).__name__}") from e
        return context


def _holding(file: str, what: str, *marks: str) -> str:
    """``file``, if it can be read and holds what it should. What it holds is never told."""
    try:
        text = Path(file).read_text()
    except (OSError, UnicodeDecodeError) as e:
        reason = getattr(e, "strerror", None) or "it is no text"
        raise BadSetting(f"{what} {file} cannot be read: {reason}") from e
    if all(mark in text for mark in marks):
        return file
    if "SU" in marks:
        raise BadSetting(f"{file} holds no seed of a user's NKey: it begins with SU, as `nsc generate nkey --user` writes it")
    raise BadSetting(f"{file} is no credentials file: it holds a user's JWT and seed, as `nsc generate creds` writes them")
