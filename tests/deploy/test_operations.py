"""What docs/operations.md says is so: its values render, its commands run, its queries answer, its links lead somewhere."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from chart import Rendered
from watched import Prometheus, Services

from concertino.client import Client, Source
from concertino.contracts.subjects import Subjects
from concertino.runtime.nats_server import NatsServer
from concertino.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SERVICES = {name: ["-m", f"concertino.{name}"] for name in ("orchestrator", "synthesizer", "docs")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def commands() -> list[str]:
    """What is to be typed on a machine that reaches the bus, and in a shell: without what only a cluster can do."""
    typed = [line for block in blocks("sh") for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    loop = [found for block in blocks("sh") for found in re.findall(r"^for .*?^done$", block, re.DOTALL | re.MULTILINE)]
    inline = [found for found in re.findall(r"`(concertino [^`]+)`", PAGE) if found != "concertino up"]
    outside = [line for line in typed if line.startswith(("concertino ", "curl "))]
    return [*dict.fromkeys(sorted([*outside, *loop, *inline], key=lambda line: "cancel" in line))]


@pytest.mark.parametrize("values", blocks("yaml"))
def test_its_values_make_a_chart(values: str) -> None:
    rendered = Rendered(yaml.safe_load(values), release="concertino")
    assert rendered.of("Deployment")


def test_objects_that_it_names_are_those_of_the_chart() -> None:
    rendered = Rendered(yaml.safe_load(blocks("yaml")[0]), release="concertino")
    there = {(o["kind"].lower(), o["metadata"]["name"]) for o in rendered.objects}
    named = {tuple(found) for found in re.findall(r"\b(deployment|statefulset|service)/(concertino[a-z-]*)", PAGE)}
    assert len(named) >= 4
    assert named <= there
    assert ("secret", "concertino-nats-users") in there
    [pod_monitor] = rendered.of("PodMonitor").values()
    assert pod_monitor["metadata"]["labels"]["release"] == "monitoring"


def test_its_question_is_about_what_the_chart_lets_workers_read() -> None:
    rendered = Rendered(yaml.safe_load(blocks("yaml")[0]), release="concertino")
    [(kind, folder)] = re.findall(r"^concertino ask .* --source (\w+)=(\S+)$", PAGE, re.MULTILINE)
    assert folder in rendered.env(kind)["CTN_SOURCE_ROOTS"].split(":")


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "helm/concertino/README.md"])
def test_what_is_installed_is_waited_for_before_it_is_tested(page: str) -> None:
    """The test asks once: the servers take a minute to come up."""
    text = re.sub(r"\\\n\s*", "", (ROOT / page).read_text(encoding="utf-8"))
    typed = re.findall(r"^(helm (?:install|upgrade) concertino .*)\n(?:kubectl .*\n)?helm test concertino", text, re.MULTILINE)
    assert typed
    assert all("--wait" in command for command in typed)


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) > 20
    for link in links:
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            text = (ROOT / "docs" / path).read_text(encoding="utf-8") if path else PAGE
            assert not anchor or anchor in anchors(text), link


class Installation:
    def __init__(self, env: dict[str, str], prometheus: Prometheus, folder: Path) -> None:
        self.env, self.prometheus, self.folder = env, prometheus, folder

    async def shell(self, command: str) -> tuple[int, str]:
        """Its exit status, and what it said."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        running = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", command),
            env={**os.environ, **self.env, "PATH": path},
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await running.communicate()
        assert running.returncode is not None
        return running.returncode, said.decode()


@pytest.fixture
async def installation(nats_server: NatsServer, subjects: Subjects, tmp_path: Path) -> AsyncIterator[Installation]:
    """With a task that has ended, and one that has failed."""
    env = {"CTN_PREFIX": subjects.prefix, "CTN_CACHE": str(tmp_path / "cache"), "CTN_MODEL": "extractive", "NO_COLOR": "1"}
    services = Services(SERVICES, {**env, "CTN_NATS_URL": nats_server.url}, tmp_path)
    with services.all(), Prometheus.watching(services.ports, tmp_path) as prometheus:
        await prometheus.sees(len(SERVICES))
        async with Client(config=Settings(nats_url=nats_server.url, prefix=subjects.prefix)) as client:
            sources = [Source(kind="docs", location=str(ROOT / "docs"))]
            view = await client.ask("How long is work leased to a worker?", sources=sources)
            nowhere = Source(kind="docs", location=str(tmp_path / "nowhere"))
            failed = await client.ask("How long is it?", sources=[nowhere])
            assert failed.status == "failed", failed.reason
        (tmp_path / "typed").mkdir()
        # Without its address, `concertino ask` would start an installation of its own.
        [address] = re.findall(r"^export CTN_NATS_URL=(\S+)$", PAGE, re.MULTILINE)
        env["CTN_NATS_URL"] = address.replace("nats://127.0.0.1:4222", nats_server.url)
        yield Installation({**env, "TASK": view.task, "FAILED": failed.task}, prometheus, tmp_path / "typed")


@pytest.mark.nats
@pytest.mark.processes
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus, of the package of that name")
async def test_its_commands_run_and_its_queries_answer(installation: Installation) -> None:
    typed = commands()
    assert {command.split()[1] for command in typed if command.startswith("concertino")} == {
        *("ask", "cancel", "failures", "list", "redrive", "show", "trace", "workers")
    }
    assert len([command for command in typed if command.startswith(("for", "curl"))]) == 2
    for command in typed:
        here = command.replace("/usr/share/doc/concertino", str(ROOT / "docs"))
        here = here.replace("127.0.0.1:9090", installation.prometheus.address)
        status, said = await installation.shell(here)
        assert status == 0, f"{command}\n{said}"
        assert said or command.startswith("for"), command
    assert (installation.folder / f"{installation.env['TASK']}.json").stat().st_size > 1000
    queries = [line for block in blocks("promql") for line in block.splitlines()]
    assert len(queries) >= 10
    for query in queries:
        await installation.prometheus.values(query)  # raises where it is no query
