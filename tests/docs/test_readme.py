"""What the README and the docs show is run, as it stands there, against a real installation."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

pytestmark = [pytest.mark.processes, pytest.mark.nats]

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL, FOLDER = "nats://127.0.0.1:4222", "/srv/handbook"


def blocks(language: str) -> list[str]:
    ours = re.sub(r"^````.*?^````$", "", README, flags=re.DOTALL | re.MULTILINE)  # without what is shown of a report
    return re.findall(rf"```{language}\n(.*?)```", ours, re.DOTALL)


def commands(prefix: str) -> list[str]:
    """Lines of the shell blocks that begin with ``prefix``, without their comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line).removesuffix(" &") for line in lines if line.startswith(prefix)]


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handbook")
    text = "# Retries\n\nRetries are spaced exponentially: the pause doubles each time, up to a minute.\n"
    (folder / "retries.md").write_text(text)
    return folder


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An installation, as ``concertino up`` makes it."""
    folder = tmp_path_factory.mktemp("up")
    command = [sys.executable, "-m", "concertino.cli", "up", "--port", "0", "--store", str(folder)]
    environment = {**os.environ, "CTN_CACHE": str(folder / "cache")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as up:
        assert up.stdout is not None
        said: list[str] = []
        for line in up.stdout:
            said.append(line)
            if "Ctrl-C" in line:  # the last line of the welcome: everything is announced
                break
        found = re.search(r"nats://127\.0\.0\.1:\d+", "".join(said))
        assert found, said
        yield found[0]
        up.terminate()
        up.communicate(timeout=200)


def run(program: str, url: str, handbook: Path) -> str:
    """What ``program`` prints, its bus and folder put in the place of the README's."""
    program = program.replace(URL, url).replace(FOLDER, str(handbook))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_python_service_asks(url: str, handbook: Path) -> None:
    said = run(blocks("python")[0], url, handbook)
    assert said.startswith("answered")
    assert "the pause doubles each time" in said


def test_a_python_service_asks_with_nothing_but_nats_and_json(url: str, handbook: Path) -> None:
    program = blocks("python")[1]
    assert "concertino" not in program
    assert run(program, url, handbook) == "answered\n"


async def test_the_nats_command_line_asks(url: str, handbook: Path) -> None:
    """The `nats` program is not a Python package: what it would send is sent for it."""
    watching, asking = (shlex.split(command) for command in commands("nats "))
    assert (watching[1], asking[1]) == ("sub", "req")
    nc = await nats.connect(url)
    facts = await nc.subscribe(watching[2])
    await nc.request(asking[2], asking[3].replace(FOLDER, str(handbook)).encode(), timeout=30)
    async with asyncio.timeout(60):
        async for message in facts.messages:
            if message.subject.endswith(".outcome"):
                outcome = json.loads(message.data)
                break
    await nc.close()
    assert outcome["status"] == "answered"
    assert outcome["report"]["citations"][0]["source"] == "retries.md"


async def test_the_fleet_answers_discovery(url: str) -> None:
    """What `nats micro ls` asks."""
    nc = await nats.connect(url)
    inbox = nc.new_inbox()
    answers = await nc.subscribe(inbox)
    await nc.publish("$SRV.PING", reply=inbox)
    names = {json.loads((await answers.next_msg(timeout=30)).data)["name"] for _ in range(6)}
    await nc.close()
    assert names == {"orchestrator", "synthesizer", "docs", "code", "web", "general"}


def test_a_question_needs_no_bus(handbook: Path, tmp_path: Path) -> None:
    ask, _ = commands("concertino ask")
    words = [str(handbook) if word in ("./src", "./handbook") else word for word in shlex.split(ask)]
    assert "the pause doubles each time" in printed(words, tmp_path)


def test_a_scenario_is_asked_by_its_folder(tmp_path: Path) -> None:
    _, ask = commands("concertino ask")
    assert "`agreement.docx" in printed(shlex.split(ask), tmp_path)


def printed(words: list[str], cache: Path) -> str:
    """What the command prints in the root of the repository, without a bus."""
    done = subprocess.run(
        [sys.executable, "-m", "concertino.cli", *words[1:]],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=ROOT,
        env={**{k: v for k, v in os.environ.items() if not k.startswith(("CTN_", "ANTHROPIC_"))}, "CTN_CACHE": str(cache)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_worker_is_the_heart_of_the_example() -> None:
    """Which is run by its own test."""
    assert blocks("python")[2] in (ROOT / "examples" / "licenses.py").read_text(encoding="utf-8")


def test_every_command_and_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    helped = subprocess.run([sys.executable, "-m", "concertino.cli", "--help"], capture_output=True, text=True, check=True)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^(```+).*?^\1$", "", README, flags=re.DOTALL | re.MULTILINE))
    shown = [*inline, *commands("concertino ")]
    named = {found[1] for words in shown if (found := re.match(r"concertino ([a-z]+)", words))}
    assert named >= {"ask", "submit", "trace", "up"}
    for command in named:
        assert re.search(rf"^│ {command} ", helped.stdout, re.MULTILINE), command


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
