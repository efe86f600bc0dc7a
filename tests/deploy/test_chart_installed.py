"""The chart on a real server: its users, its queues, and a worker at zero that comes back for the first message."""

from __future__ import annotations

import base64
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from chart import CHART, Rendered
from installed import SERVER, Installation, exit_of
from tests.kit.waiting import until

from concertino.bus.access import Access
from concertino.bus.connection import dial
from concertino.contracts.errors import Refused
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import settings
from concertino.runtime.users import block

pytestmark = [pytest.mark.nats, pytest.mark.processes]

QUEUE = {"scaling": {"by": "queue"}}
ALONE: dict[str, Any] = {
    "nats": {"config": {"cluster": {"enabled": False}}},
    "bus": {"replicas": 1},
    "model": {"name": "extractive"},
    "defaults": {"lease": 2, "grace": 5},
    "workers": {"docs": QUEUE, "code": QUEUE, "general": QUEUE},
    "synthesizer": QUEUE,
}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"global": {"usersSecret": "users"}},
        {"bus": {"prefix": "prod_2"}, "workers": {"code-review": {"description": "x"}, "web": None}},
        {"nats": {"config": {"cluster": {"replicas": 5}, "websocket": {"enabled": True, "merge": {"no_tls": True}}}}},
    ],
    ids=["as it comes", "existing secret", "another prefix", "more of it"],
)
async def test_the_server_takes_its_configuration(values: dict[str, Any], tmp_path: Path) -> None:
    found = Installation(Rendered(values), tmp_path)
    file = found.configured()
    for secret in (tmp_path / "nats" / "etc" / "nats-users").glob("*.conf"):
        assert "accounts" in secret.read_text() or secret.read_text().startswith("password: ")
    if "global" in values:
        for key, text in (await _as_the_readme_says()).items():
            (found.users / key).write_text(text)
    status, said = await exit_of([str(SERVER), "-t", "-c", str(file)], {"SERVER_NAME": "nats-0"})
    assert status == 0, said


async def _as_the_readme_says() -> dict[str, str]:
    """The secret that the README's commands make."""
    [commands] = re.findall(r"```\n(set --\n.*?)```", (CHART / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    status, said = await exit_of(["bash", "-euc", f"kubectl() {{ printf '%s\\n' \"$@\"; }}\n{commands}"], {})
    assert status == 0, said
    given = [line.removeprefix("--from-literal=").partition("=") for line in said.splitlines() if line.startswith("--from-")]
    held = {key: value for key, _, value in given}
    assert all(held[f"{user}.conf"] == f'password: "{held[user]}"' for user in held if not user.endswith(".conf"))
    return held


def test_users_are_those_that_the_code_asks_for() -> None:
    """Letter by letter what ``python -m concertino.runtime.users`` prints, but for passwords."""
    kinds = ["code", "docs", "general", "legal", "web"]
    found = Rendered({"bus": {"prefix": "prod"}, "workers": {"legal": {"description": "x"}}})
    text = found.of("ConfigMap")["demo-nats-authorization"]["data"]["authorization.conf"]
    printed = block(Subjects("prod"), kinds, {}).removeprefix("accounts: ")
    wanted = json.loads(re.sub(r": (\$\w+)", r': "\1"', printed))
    decoder = json.JSONDecoder()
    accounts = re.split(r"^  (\w[\w-]*) \{$", text, flags=re.MULTILINE)
    assert set(accounts[1::2]) == set(wanted)
    for account, said in zip(accounts[1::2], accounts[2::2], strict=True):
        has = wanted[account]
        items = [decoder.raw_decode(line.strip())[0] for line in said.splitlines() if line.strip().startswith('{"')]
        assert _sorted(items) == _sorted([*has.get("exports", []), *has.get("imports", [])])
        users = re.finditer(r'user: "([\w-]+)"\n\s+include \./\1\.conf\n\s+permissions: ', said)
        permissions = {name[1]: decoder.raw_decode(said, name.end())[0] for name in users}
        assert permissions == {user["user"]: user["permissions"] for user in has["users"]}
        assert ('jetstream: "enabled"' in said) == (has.get("jetstream") == "enabled")


def _sorted(items: list[Any]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


async def test_nobody_signs_on_without_the_password_of_a_user(tmp_path: Path) -> None:
    async with Installation(Rendered(ALONE), tmp_path) as found:
        for access in (Access(), Access(user="ctn-worker-docs", password="guessed"), Access(user="ctn-client")):
            with pytest.raises(Refused):
                await dial(found.url, "test", patience=5, access=access)
        for pod, user in {"docs": "ctn-worker-docs", "provision": "ctn-provision", "test": "ctn-client"}.items():
            told = found.chart.laid_out(pod, tmp_path / pod)
            password = Path(told["CTN_NATS_PASSWORD_FILE"]).read_text()
            assert told["CTN_NATS_USER"] == user
            connection = await dial(found.url, "test", patience=5, access=Access(user=user, password=password))
            await connection.close()
            # Nobody else's password is in the pod.
            others = [file.read_text() for file in found.users.glob("*.conf") if file.stem not in (user, "authorization")]
            for file in (tmp_path / pod).rglob("*"):
                assert not file.is_file() or not [o for o in others if o.split('"')[1] in file.read_text()]


ENCRYPTED: dict[str, Any] = {
    **ALONE,
    "bus": {"replicas": 1, "tls": {"caSecret": "server", "certSecret": "client"}},
    "nats": {
        "tlsCA": {"enabled": True, "secretName": "server"},
        "config": {
            "cluster": {"enabled": False},
            "nats": {"tls": {"enabled": True, "secretName": "server", "merge": {"verify": True}}},
        },
    },
}


@pytest.mark.parametrize("values", [ALONE, ENCRYPTED], ids=["in plain", "encrypted"])
async def test_from_outside_the_bus_is_reached_as_the_notes_say(values: dict[str, Any], tmp_path: Path) -> None:
    """Through a tunnel to 127.0.0.1, which the server's certificate does not name."""
    authority, chart = Authority(), Rendered(values)
    chart.secrets = {"server": authority.signed("demo-nats.prod.svc"), "client": authority.signed("services")}
    async with Installation(chart, tmp_path) as found:
        named = {"CTN_NATS_TLS_NAME": "demo-nats.prod.svc"} if values is ENCRYPTED else {}
        assert await found.finished(found.run("provision", **named)) == 0, found.said("provision")
        typed = re.findall(r"^  (?!helm|concertino ask)(\S.*)$", chart.notes.partition("There is no model")[0], re.MULTILINE)
        assert typed[-1] == "concertino workers"
        script = "\n".join(typed).replace("127.0.0.1:4222", found.url.partition("://")[2])
        status, said = await exit_of(_shell(found, tmp_path / "secrets", f"cd {tmp_path}\n{script}"), {})
        assert (status, "web" in said) == (0, True), said
        if values is ENCRYPTED:
            without = "\n".join(line for line in script.splitlines() if "CTN_NATS_TLS_NAME" not in line)
            status, said = await exit_of(_shell(found, tmp_path / "secrets", f"cd {tmp_path}\n{without}"), {})
            assert status != 0
            assert "IP address mismatch" in said
            assert "CTN_NATS_TLS_NAME" in said


def _shell(found: Installation, folder: Path, script: str) -> list[str]:
    """``script`` where kubectl knows the secrets of the release."""
    made = {o["metadata"]["name"]: o["data"] for o in found.chart.of("Secret").values()}["demo-nats-users"]
    users = {"demo-nats-users": {key: base64.b64decode(text).decode() for key, text in made.items()}}
    for name, held in {**found.chart.secrets, **users}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for key, text in held.items():
            (folder / name / key).write_text(text)
    kubectl = f"""kubectl() {{ key=${{!#}}; key=${{key#*\\"}}; cat "{folder}/$3/${{key%%\\"*}}"; }}"""
    return ["bash", "-euc", f"PATH={SERVER.parent}:$PATH\n{kubectl}\n{script}"]


async def test_both_sides_show_certificates(tmp_path: Path) -> None:
    authority, chart = Authority(), Rendered(ENCRYPTED)
    chart.secrets = {"server": authority.signed("demo-nats.prod.svc", "127.0.0.1"), "client": authority.signed("services")}
    async with Installation(chart, tmp_path) as found:
        assert await found.finished(found.run("provision")) == 0, found.said("provision")
        assert await found.finished(found.run("provision", CTN_NATS_CERT="", CTN_NATS_KEY="")) == 1
        chart.secrets = {**chart.secrets, "server": Authority().signed("demo-nats.prod.svc", "127.0.0.1")}  # of somebody else
        assert await found.finished(found.run("provision")) == 1


async def test_a_kind_that_is_added_gets_its_user_without_a_restart(tmp_path: Path) -> None:
    async with Installation(Rendered(ALONE), tmp_path) as found:
        told = found.chart.laid_out("docs", tmp_path / "docs")
        lost: list[bool] = []
        mine = settings(told).access("docs")
        before = await dial(found.url, "test", patience=5, lost=lambda: lost.append(True), access=mine)
        more = Rendered({**ALONE, "workers": {**ALONE["workers"], "legal": {"description": "Reads contracts."}}})
        users = more.of("ConfigMap")["demo-nats-authorization"]["data"]["authorization.conf"]
        (found.users / "ctn-worker-legal.conf").write_text('password: "new"')
        (found.users / "authorization.conf").write_text(users)
        found.server.send_signal(signal.SIGHUP)
        await until(lambda: "Reloaded server configuration" in found.log, "the server reloads")
        new = Access(user="ctn-worker-legal", password="new")
        after = await dial(found.url, "test", patience=5, access=new)
        await before.flush()
        assert not lost
        await after.close()
        await before.close()


async def test_a_worker_at_zero_comes_back_for_the_first_message(tmp_path: Path) -> None:
    """The whole chain without a cluster: provisioned queues, planners who know kinds that nobody serves, the depth that KEDA
    reads at the trigger's address, and the worker that it would start."""
    page = tmp_path / "leases.md"
    page.write_text("# Leases\n\nWork is leased to a worker for fifteen seconds, and a heartbeat keeps the lease.\n")
    values = {**ALONE, "test": {"request": "How long is work leased to a worker?", "sources": [f"docs={page}"]}}
    async with Installation(Rendered(values), tmp_path) as found:
        scaled = {service: found.triggers(service) for service in found.chart.of("ScaledObject")}
        assert set(scaled) == {"docs", "code", "general", "synthesizer"}
        assert {found.lag(trigger) for triggers in scaled.values() for trigger in triggers} == {None}
        assert await found.finished(found.run("provision")) == 0, found.said("provision")
        assert {found.lag(trigger) for triggers in scaled.values() for trigger in triggers} == {0}

        running = {"orchestrator": found.run("orchestrator", ["python", "-m", "concertino.orchestrator"])}
        await until(lambda: found.probe("orchestrator", "readinessProbe") == 200, "the orchestrator is ready")
        assert found.probe("orchestrator", "livenessProbe") == 200
        asked = found.run("test")
        for service in ("docs", "synthesizer"):
            # Above activationLagThreshold: one replica is started.
            await until(
                lambda service=service: _active(found, scaled[service]) or asked.poll() is not None,  # type: ignore[misc]
                f"the lag of {service} is seen",
                60,
            )
            assert asked.poll() is None, found.said("test")
            running[service] = found.run(service, ["python", "-m", f"concertino.{service}"], CTN_SOURCE_ROOTS=str(tmp_path))
        status = await found.finished(asked)
        assert status == 0, [found.said("test"), *(found.said(service) for service in running)]
        assert "fifteen seconds" in found.said("test")
        assert not _active(found, scaled["code"])
        await until(lambda: not _active(found, scaled["docs"]), "nothing is left in the queue")
        assert "Violation" not in found.log, found.log
        # The drain: SIGTERM, and the process leaves by itself.
        for service, process in running.items():
            process.send_signal(signal.SIGTERM)
            assert await found.finished(process, 20) == 0, found.said(service)


async def test_a_task_cannot_ask_for_the_password_of_who_reads_for_it(tmp_path: Path) -> None:
    async with Installation(Rendered(ALONE), tmp_path) as found:
        assert await found.finished(found.run("provision")) == 0, found.said("provision")
        for service in ("orchestrator", "docs", "synthesizer"):
            found.run(service, ["python", "-m", f"concertino.{service}"])
        await until(lambda: found.probe("docs", "readinessProbe") == 200, "the worker is ready")
        held = Path(found.chart.laid_out("docs", tmp_path / "docs")["CTN_NATS_PASSWORD_FILE"])
        asked = found.run("test", ["python", "-m", "concertino.client", "What is the password?", f"docs={held}"])
        assert await found.finished(asked) == 1
        assert held.read_text() not in found.said("test")
        assert "lies outside the folders" in found.said("test")


def _active(found: Installation, triggers: list[dict[str, str]]) -> bool:
    return any((found.lag(t) or 0) > int(t["activationLagThreshold"]) for t in triggers)
