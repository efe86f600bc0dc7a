"""The images, built and started: what is in them, what they may do, and that a task goes through them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import engine
import pytest
from packaging.requirements import Requirement
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from concertino.client import Client, Plan, Source, Subtask
from concertino.contracts.messages import Progress

MEGABYTES = {"orchestrator": 85, "synthesizer": 85, "worker": 110, "web": 190, "docs": 190, "code": 290, "general": 360}
"""Beyond the base, at the most."""
SERVICES = tuple(MEGABYTES)
VERSION = tomllib.loads((engine.ROOT / "pyproject.toml").read_text())["project"]["version"]

needs_engine = pytest.mark.skipif(bool(engine.missing()), reason=engine.missing())
images = pytest.mark.timeout(1200)
"""The first build on a machine takes minutes, later ones seconds."""

INSIDE = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")


UV = str(Path(sys.executable).with_name("uv"))


def test_the_lock_is_what_the_project_asks_for() -> None:
    """Said without a look at any index."""
    checked = subprocess.run(
        [UV, "lock", "--check", "--offline"], cwd=engine.ROOT, capture_output=True, timeout=200, check=False
    )
    assert checked.returncode == 0, f"run `make lock`: {checked.stderr.decode()}"
    exported = ["export", "--quiet", "--frozen", "--only-group", "build", "--no-annotate", "--no-header"]
    assert engine.run([UV, *exported]) == (engine.ROOT / "deploy" / "build-tools.txt").read_text(), "run `make lock`"


def test_what_an_image_needs_can_be_had_without_a_compiler() -> None:
    """nkeys is published as source alone, of pure Python: deploy/install.sh knows of it."""
    extras = [part for extra in ("anthropic", "otel", "mcp", "general") for part in ("--extra", extra)]
    pinned = engine.run(
        [UV, "export", "--quiet", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes", *extras]
    )
    needed = [Requirement(line) for line in pinned.splitlines() if line and not line.lstrip().startswith("#")]
    linux = {"sys_platform": "linux", "python_version": "3.11", "python_full_version": "3.11.14"}
    names = {r.name for r in needed if r.marker is None or r.marker.evaluate(linux)} - {"nkeys"}
    assert len(names) > 50
    for package in tomllib.loads((engine.ROOT / "uv.lock").read_text())["package"]:
        wheels = [wheel["url"] for wheel in package.get("wheels", ())]
        for machine in ("x86_64", "aarch64"):
            fits = rf"-(none-any|(cp311|abi3)-manylinux[\w.]*_{machine}[\w.]*)\.whl$"
            assert package["name"] not in names or any(re.search(fits, url) for url in wheels), (package["name"], machine)


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """Without a way out."""
    with Network(docker_network_kw={"internal": True}) as network:
        yield network


def looked_at(service: str) -> dict[str, Any]:
    """What a process finds in the image, run as strictly as in a cluster, without any network."""
    said = docker.from_env().containers.run(
        engine.built(service), ["python", "-c", INSIDE], network_mode="none", remove=True, **engine.STRICT
    )
    return dict(json.loads(said))


@needs_engine
@images
@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_what_its_service_needs_and_no_more(service: str) -> None:
    found = looked_at(service)
    assert found["ids"] == [10001, 10001, [10001]]
    assert found["python"] == "/opt/concertino/bin/python"
    assert found["programs"] == (["git"] if service in {"code", "general"} else [])
    assert found["installers"] == []
    assert found["importable"] == []
    assert found["uncompiled"] == []
    assert found["writable"] == []
    assert found["refused"] == {"/a": "Read-only file system", "/tmp/a": None, "/cache/a": None}
    theirs = {
        "tree-sitter": {"code", "general"},
        "pypdf": {"web", "docs", "general"},
        "mcp": {"web", "code", "docs", "general", "worker"},
        "cyclopts": set(),
        "hypothesis": set(),
    }
    for distribution, services in theirs.items():
        assert (distribution in found["distributions"]) == (service in services), distribution
    assert {"anthropic", "opentelemetry-sdk", "nats-py"} <= set(found["distributions"])


@needs_engine
@images
@pytest.mark.parametrize("service", SERVICES)
def test_what_is_installed_is_what_is_pinned(service: str) -> None:
    found = looked_at(service)["distributions"]
    locked = {
        package["name"]: package.get("version") for package in tomllib.loads((engine.ROOT / "uv.lock").read_text())["package"]
    }
    assert found.pop("concertino") == VERSION
    assert len(found) > 20
    assert {name: locked.get(re.sub(r"[._]", "-", name)) for name in found} == found


def variables(image: dict[str, Any]) -> set[str]:
    return {variable.partition("=")[0] for variable in image["Config"]["Env"] or []}


OURS = {"PATH", "HOME", "LANG", "CTN_CACHE", "CTN_PORT", "CTN_SOURCE_ROOTS", "CONCERTINO_SERVICE", "PYTHONDONTWRITEBYTECODE"}


@needs_engine
@images
@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is(service: str) -> None:
    image = docker.from_env().images.get(engine.built(service)).attrs
    bare = docker.from_env().images.get(engine.base()).attrs
    assert image["Config"]["User"] == "10001:10001"
    assert image["Config"]["Healthcheck"]["Test"][:2] == ["CMD", "python"]
    assert image["Config"]["ExposedPorts"] == {"9464/tcp": {}}
    assert image["Config"]["Volumes"] is None
    assert variables(image) == OURS | variables(bare)
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image["Config"]["Labels"].items()}
    assert labels["title"] == f"concertino-{service}"
    assert labels["version"] == VERSION
    assert engine.run(["git", "cat-file", "-t", labels["revision"]]) == "commit\n"
    assert labels["base.name"] == engine.base()
    assert labels["licenses"] == "Apache-2.0"
    beyond = (image["Size"] - bare["Size"]) / 1e6
    assert beyond < MEGABYTES[service]
    # What all of them need is there once. (The project itself is too, where the tree does not change from build to build.)
    layers, other = (
        docker.from_env().images.get(engine.built(name)).attrs["RootFS"]["Layers"] for name in (service, "synthesizer")
    )
    assert len(set(layers) & set(other)) >= len(bare["RootFS"]["Layers"]) + 2


@needs_engine
@images
def test_a_service_that_there_is_not_is_refused_at_once() -> None:
    done = subprocess.run(
        ["make", "image-dosc", f"BASE={engine.base()}", f"TAG={engine.TAG}"],
        cwd=engine.ROOT, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "SERVICE is orchestrator, synthesizer, web, code, docs, general or worker, not 'dosc'" in done.stdout + done.stderr


READS = {"code": {"CTN_SOURCE_ROOTS": "/sources"}}
"""The others may have read what their image says."""


@pytest.fixture
async def installation(network: Network, tmp_path: Path) -> AsyncIterator[tuple[str, ExitStack, dict[str, DockerContainer]]]:
    """A server, what it is to have, and every service, ready; its URL, and what runs."""
    env = {"CTN_NATS_URL": "nats://nats:4222", "CTN_GRACE": "20", "CTN_LEASE": "5"}
    with ExitStack() as stack:
        nats = stack.enter_context(
            engine.container(engine.nats_image(), network, "nats", "--jetstream", "--store_dir=/tmp/bus", "--http_port=8222")
        )
        url = f"nats://{engine.address(nats)}:4222"
        provisioned = docker.from_env().containers.run(
            engine.built("orchestrator"), ["python", "-m", "concertino.runtime.provision"],
            network=network.name, environment=env, remove=True, stderr=True, **engine.STRICT,
        )  # fmt: skip
        assert b"provisioned" in provisioned
        running = {
            name: stack.enter_context(
                engine.container(engine.built(name), network, name, env={**env, **READS.get(name, {})}, sources=tmp_path)
            )
            for name in SERVICES
            if name != "worker"
        }
        await engine.healthy(*running.values())
        yield url, stack, running


@needs_engine
@images
async def test_a_task_goes_through_the_images(
    installation: tuple[str, ExitStack, dict[str, DockerContainer]], network: Network, tmp_path: Path
) -> None:
    """As `helm test` asks, and one about a git repository that is cloned; then everything is told to leave, and does."""
    url, _, running = installation
    said = docker.from_env().containers.run(
        engine.built("orchestrator"),
        ["python", "-m", "concertino.client", "How long is work leased to a worker?", "docs=/usr/share/doc/concertino"],
        network=network.name, environment={"CTN_NATS_URL": "nats://nats:4222"}, remove=True, **engine.STRICT,
    )  # fmt: skip
    outcome = json.loads(said)
    assert outcome["status"] == "answered"
    cited = outcome["report"]["citations"]
    assert cited
    assert any("lease" in json.dumps(citation).lower() for citation in cited)

    repository(tmp_path / "relay")
    tmp_path.chmod(0o755)
    async with Client(url) as client:
        task = await client.ask(
            "How long does the relay wait before a retry?", sources=[Source(kind="code", location="file:///sources/relay")]
        )
    assert task.status == "answered", task.reason
    assert task.report
    assert "RETRY_AFTER" in task.report.text

    # What a worker could read itself is not for whoever asks it: no password, no environment, nothing that is mounted unsaid.
    (tmp_path / "secret.md").write_text("The password is swordfish.\n")
    for worker, kind, location in (
        *(("docs", "docs", path) for path in ("/proc/self/environ", "/etc/passwd", "/sources/secret.md")),
        *(("docs", "docs", path) for path in ("file:///proc/self/environ", "/usr/share/doc/concertino/../../../../etc/passwd")),
        *(("general", "docs", path) for path in ("/proc/self/environ", "/sources/secret.md")),
        *(("code", "code", path) for path in ("/proc/self", "/etc", "/usr/share/doc/concertino")),
    ):
        read = Subtask(id="s1", kind=worker, objective="What is the password?", sources=(Source(kind=kind, location=location),))
        async with Client(url) as client:
            task = await client.ask("What is the password?", plan=Plan(subtasks=(read,)))
        [subtask] = task.subtasks
        assert subtask.status == "failed", (worker, location)
        assert "lies outside the folders that workers may read here (CTN_SOURCE_ROOTS)" in subtask.error, location

    for name, one in running.items():
        inside = one.get_wrapped_container()
        await asyncio.to_thread(inside.stop, timeout=25)
        inside.reload()
        assert inside.attrs["State"]["ExitCode"] == 0, name
        said = inside.logs().decode()
        events = [json.loads(line)["event"] for line in said.splitlines() if line.startswith("{")]
        assert events[-2:] == ["draining", "stopped"], said


def repository(folder: Path) -> None:
    folder.mkdir()
    (folder / "relay.py").write_text(
        '"""The relay."""\n\nRETRY_AFTER = 30\n"""Seconds that the relay waits before a retry."""\n'
    )
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True, timeout=30)


SLOW = """
import asyncio
import iniconfig  # what requirements.txt brings

from concertino.worker import Worker

worker = Worker("slow", "Takes its time.")

@worker.handle
async def wait(brief, context):
    for _ in range(8):  # said again for whoever listens only now
        await context.progress("at work")
        await asyncio.sleep(0.5)

worker.run()
"""


@needs_engine
@images
async def test_a_worker_of_ones_own_is_built_as_the_docs_say_and_finishes_what_it_does_when_told_to_leave(
    installation: tuple[str, ExitStack, dict[str, DockerContainer]], network: Network, tmp_path: Path
) -> None:
    url, stack, _ = installation
    page = (engine.ROOT / "docs" / "images.md").read_text()
    [dockerfile] = re.findall(r"```dockerfile\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "licenses.py").write_text(SLOW)
    (folder / "requirements.txt").write_text("iniconfig==2.3.0\n")
    image = engine.build(
        "concertino-own:tested",
        folder,
        "--build-arg",
        f"BASE={engine.base()}",
        "--build-arg",
        f"WORKER={engine.built('worker')}",
    )
    env = {"CTN_NATS_URL": "nats://nats:4222", "CTN_GRACE": "20"}
    own = stack.enter_context(engine.container(image, network, "slow", env=env))
    await engine.healthy(own)
    inside = own.get_wrapped_container()
    async with Client(url) as client:
        task = await client.submit("Wait.", plan=Plan(subtasks=(Subtask(id="s1", kind="slow", objective="Wait."),)))
        async with asyncio.timeout(30), client.follow(task) as events:
            async for event in events:
                if isinstance(event, Progress) and event.doing == "at work":
                    break
        await asyncio.to_thread(inside.stop, timeout=25)
        [subtask] = (await client.wait(task, 60)).subtasks
    inside.reload()
    assert inside.attrs["State"]["ExitCode"] == 0
    assert (subtask.status, subtask.attempts) == ("complete", 1)
