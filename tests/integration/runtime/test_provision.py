"""What must be there before any service: queues of kinds that nobody serves yet, and that these kinds may be asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from concertino.bus.announcements import announce, kinds
from concertino.bus.jetstream import JetStream
from concertino.client import Client
from concertino.contracts.messages import Announcement, Plan, Subtask
from concertino.contracts.subjects import Subjects
from concertino.runtime.config import load
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.provision import provision
from concertino.runtime.settings import Settings

pytestmark = pytest.mark.nats

FILE = """
[kinds.web]
description = "Reads the web."
sources = ["web"]
[kinds.legal]
description = "Reads contracts."
tools = ["clauses", "rulings_find"]
[mcp.rulings]
url = "https://example.org/mcp"
kinds = ["legal"]
public = true
"""


async def test_kinds_on_demand_are_known_until_they_are_not_configured_any_more(
    nats_server: NatsServer, subjects: Subjects, tmp_path: Path
) -> None:
    file = tmp_path / "concertino.toml"
    file.write_text(FILE)
    config = Settings(nats_url=nats_server.url, prefix=subjects.prefix)
    bus = await JetStream.connect(nats_server.url, "test", subjects)
    for _ in range(2):
        await provision(bus, config, load(str(file)))
    assert {a.kind: a.public for a in await kinds(bus, subjects)} == {"legal": ("rulings_find",), "web": ()}
    assert set(await bus.depths(subjects.work_stream)) == {
        f"{lane}-{kind}" for lane in ("interactive", "batch") for kind in ("plan", "synthesize", "web", "legal")
    }
    async with Client(nats_server.url, config=config) as client:
        found = {worker.kind: worker.replicas for worker in await client.workers()}
        assert found == {"legal": 0, "web": 0}
        await client.submit("Review it", plan=Plan(subtasks=(Subtask(id="a", kind="legal", objective="Review it"),)))

    await announce(bus, subjects, Announcement(kind="web", description="Reads it now.", replica="web-1"))
    assert {a.kind: a.description for a in await kinds(bus, subjects)} == {
        "legal": "Reads contracts.",
        "web": "Reads it now.",
    }
    file.write_text("")
    await provision(bus, config, load(str(file)))
    assert {a.kind for a in await kinds(bus, subjects)} == {"web"}
    await bus.close()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("text", "status", "says"),
    [(FILE, 0, "provisioned"), ("[kinds.web]\nsources = ['web']", 1, "kinds"), ("[kind.web]", 1, "no section 'kind'")],
)
def test_the_command_says_what_is_wrong(
    nats_server: NatsServer, subjects: Subjects, tmp_path: Path, text: str, status: int, says: str
) -> None:
    file = tmp_path / "concertino.toml"
    file.write_text(text)
    environment = {"CTN_NATS_URL": nats_server.url, "CTN_PREFIX": subjects.prefix, "CTN_CONFIG": str(file)}
    done = subprocess.run(
        [sys.executable, "-m", "concertino.runtime.provision"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr
