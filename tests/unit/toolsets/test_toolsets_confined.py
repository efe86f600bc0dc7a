"""The toolsets as they are installed: what they announce is what they have, and none over private sources leaves them."""

from __future__ import annotations

import ast
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import concertino.code
import concertino.docs
from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Source, Subtask, Work
from concertino.contracts.subjects import Subjects
from concertino.model.extractive import Extractive
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.tools import Toolbox
from concertino.worker.toolsets import Opened, Toolset, installed

SECRET = "the-colour-of-the-vault"
LEAKED = "it-is-teal"
"""What stands beside it, and in no question."""
PRIVATE = ("code", "docs")
FILES = {
    "guide.md": "# Guide\n\nThe pump runs at 40 bar.\n",
    "pump.py": "def pump():\n    return 40\n",
    "pyproject.toml": '[project]\nname = "pump"\ndependencies = ["httpx"]\n',
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    for name in ("secret.md", "secret.py"):
        (tmp_path / "outside" / name).write_text(f"# {SECRET}\n\n{SECRET} = '{LEAKED}'\n")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    for path, text in FILES.items():
        (inside / path).write_text(text)
    (inside / "link.md").symlink_to(tmp_path / "outside" / "secret.md")
    (inside / "link.py").symlink_to(tmp_path / "outside" / "secret.py")
    (inside / "linked").symlink_to(tmp_path / "outside")
    (inside / "sub" / "up").symlink_to("../..")
    return inside


@pytest.fixture(params=PRIVATE)
def toolset(request: pytest.FixtureRequest) -> Toolset:
    return installed()[request.param]


@pytest.fixture
async def opened(toolset: Toolset, source: Path, tmp_path: Path) -> AsyncIterator[Opened]:
    given = Source(kind=toolset.name, location=str(source))
    brief = Subtask(id="s1", kind=toolset.name, objective="?", sources=(given,))
    work = Work(task="t1", id="result.{toolset.name}.s1", attempt=1, request="?", brief=brief, sources=(given,), deadline=1.0)
    bus = MemoryBus()
    await bus.provision(installation(Subjects()))

    async def say(_: str, __: str) -> None:
        return None

    context = Context(work, bus=bus, model=Extractive(), settings=Settings(cache=str(tmp_path / "cache")), say=say)
    tools = await toolset.open(context, [given])
    yield tools
    await tools.close()


def test_every_toolset_of_ours_is_installed() -> None:
    assert list(installed()) == ["code", "docs", "web"]
    assert [toolset.public for toolset in installed().values()] == [False, False, True]


async def test_what_is_announced_is_what_there_is(toolset: Toolset, opened: Opened) -> None:
    names = [tool.__name__ for tool in opened.tools()]
    assert sorted(names) == sorted(toolset.abilities(Settings(), Extractive()))
    assert len({toolset.qualified(name) for name in names}) == len(names)


PATHS = ("../outside/secret.md", "../outside/secret.py", "link.md", "link.py", "linked/secret.md", "linked/secret.py")
MORE = (
    "sub/up/outside/secret.md",
    "sub/../../outside/secret.py",
    "./../outside/secret.md",
    "..",
    "/",
    "",
    "..%2foutside",
    "a\0b",
)


async def test_no_tool_reads_what_is_not_in_its_sources(opened: Opened, tmp_path: Path) -> None:
    """Every tool with every trick in every parameter that takes text."""
    outside = tmp_path / "outside"
    tricks = (*PATHS, *MORE, str(outside / "secret.md"), str(outside / "secret.py"), f"file://{outside}/secret.md", SECRET)
    box = Toolbox()
    box.add(*opened.tools())
    answered = 0
    for spec in box.specs:
        texts = [name for name, schema in spec.parameters["properties"].items() if schema.get("type") == "string"]
        numbers = {name: 1 for name in spec.parameters.get("required", ()) if name not in texts}
        needed = {
            name: "python" if name == "language" else "." for name in spec.parameters.get("required", ()) if name in texts
        }
        for name, trick in itertools.product(texts, tricks):
            box.forget()
            try:
                said = msgspec.json.encode(await box.call(spec.name, **{**numbers, **needed, name: trick}))
            except ConcertinoError:
                continue
            answered += 1
            assert LEAKED.encode() not in said, (spec.name, name, trick)
    assert answered > 10


def test_no_module_of_theirs_speaks_to_the_network_or_starts_programs() -> None:
    """But for git, which ``code.git`` alone runs, and the fetching of documents that a caller names as a source."""
    forbidden = {"socket", "ssl", "http", "urllib", "httpx2", "requests", "aiohttp", "subprocess", "pty", "ftplib", "smtplib"}
    allowed = {"urllib.parse"}
    found: dict[str, set[str]] = {}
    for package in (concertino.code, concertino.docs):
        for path in sorted(Path(next(iter(package.__path__))).rglob("*.py")):
            for name in _imports(ast.parse(path.read_text("utf-8"))):
                if name.partition(".")[0] in forbidden and name not in allowed:
                    found.setdefault(path.name, set()).add(name)
            if "create_subprocess" in path.read_text("utf-8"):
                found.setdefault(path.name, set()).add("asyncio.create_subprocess")
    assert found == {"git.py": {"asyncio.create_subprocess"}}


def _imports(tree: ast.Module) -> list[str]:
    names: list[Any] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names
