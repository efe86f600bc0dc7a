"""A NATS server as a strict installation has it: TLS both ways, a user for each role, and nothing that is not permitted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from concertino.bus.access import Access
from concertino.bus.permissions import roles
from concertino.contracts.subjects import Subjects
from concertino.runtime.users import block, variable
from kit.plain_server import plain_server
from kit.waiting import PATIENCE

INSPECTOR = "inspector"
"""Somebody who may do everything in the streams' account: the tests' own eyes."""


@dataclass(frozen=True)
class Secured:
    """The server, and how one gets in."""

    address: str
    folder: Path
    subjects: Subjects
    kinds: Sequence[str]

    @property
    def url(self) -> str:
        return f"tls://{self.address}"

    def access(self, role: str) -> Access:
        user = role if role == INSPECTOR else roles(self.subjects, self.kinds)[role].user
        pem = {name: str(self.folder / f"{name}.pem") for name in ("ca", "cert", "key")}
        return Access(user=user, password=_password(user), inbox=self.subjects.inbox(role), **pem)

    def environment(self, role: str, **more: str) -> dict[str, str]:
        """Of a process in ``role``, with the password in a file."""
        access = self.access(role)
        password = self.folder / f"{access.user}.password"
        password.write_text(f"{access.password}\n")
        of_ours = {
            "CTN_NATS_URL": self.url,
            "CTN_NATS_USER": access.user,
            "CTN_NATS_PASSWORD_FILE": str(password),
            "CTN_NATS_CA": access.ca,
            "CTN_NATS_CERT": access.cert,
            "CTN_NATS_KEY": access.key,
            "CTN_PREFIX": self.subjects.prefix,
            "CTN_PROVISION": "false",
            "CTN_CACHE": str(self.folder / "cache"),
        }
        return {**{name: value for name, value in os.environ.items() if not name.startswith("CTN_")}, **of_ours, **more}

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def violations(self) -> list[str]:
        """What somebody was refused, in the server's words."""
        return [line for line in self.log().splitlines() if "Violation" in line or "authentication error" in line]

    def run(self, role: str, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """``python -m ...`` to its end."""
        environment = self.environment(role, **more)
        command = (sys.executable, *command)
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)

    @contextmanager
    def service(self, role: str, *command: str, **more: str) -> Iterator[Service]:
        """``python ...`` as a service, from when it is asked to start until it has drained."""
        log = self.folder / f"{role}-{len(list(self.folder.glob('*.log')))}.log"
        with log.open("wb") as out:
            environment = self.environment(role, **more)
            process = subprocess.Popen([sys.executable, *command], env=environment, stdout=out, stderr=out)
        service = Service(process, log)
        try:
            yield service
        finally:
            service.stop()


@dataclass(frozen=True)
class Service:
    """A process, and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return '"ready"' in self.log.read_text()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def secured(folder: Path, subjects: Subjects, kinds: Sequence[str]) -> Iterator[Secured]:
    """A server with exactly the users and accounts that ``python -m concertino.runtime.users`` prints, and the inspector."""
    authority = trustme.CA()
    server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("somebody@example.org")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    client.private_key_pem.write_to_path(folder / "key.pem")
    client.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    pem = folder / "server.pem"
    everything = f'"users": [{{"user": "{INSPECTOR}", "password": "{_password(INSPECTOR)}"}},'
    (folder / "users.conf").write_text(block(subjects, kinds, {}).replace('"users": [', everything, 1))
    (folder / "server.conf").write_text(
        f"""
        jetstream {{ store_dir: "{folder / "store"}" }}
        tls {{ cert_file: "{pem}", key_file: "{pem}", ca_file: "{folder / "ca.pem"}", verify: true }}
        include users.conf
        """
    )
    passwords = {variable(role.user): _password(role.user) for role in roles(subjects, kinds).values()}
    with plain_server(folder, "-c", str(folder / "server.conf"), environment=passwords) as address:
        yield Secured(address, folder, subjects, kinds)


def _password(user: str) -> str:
    return f"secret-of-{user}"
