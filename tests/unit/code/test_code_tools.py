"""All tools, as a model calls them, over real folders and repositories, friendly and hostile."""

from __future__ import annotations

import asyncio
import os
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from code_repositories import Repo, write

from concertino.code.base import Base
from concertino.code.code import MOST_LINES, Code
from concertino.contracts.errors import Cancelled, Invalid, SourceError
from concertino.contracts.messages import Passage, Source
from concertino.retrieval import tree
from concertino.retrieval.cache import Cache
from concertino.worker.passages import passages
from concertino.worker.tools import Toolbox
from kit.disks import failing_at

RETRY = '''\
"""Tries again."""

MAX_RETRIES = 3


class Retry:
    """How often, and how long to wait."""

    backoff_factor = 0.5

    def sleep(self, attempt: int) -> float:
        """The pause before the next attempt, in seconds."""

        def jitter() -> float:
            return 0.1

        return self.backoff_factor * 2**attempt + jitter()
'''
FILES = {
    "src/retry.py": RETRY,
    "src/client.ts": "import x from 'x'\n\nexport class Client {\n  n = 3\n  send() {\n    return retry(this)\n  }\n}\n",
    "cmd/main.go": "package main\n\n// Main starts it.\nfunc Main() error {\n\treturn nil\n}\n",
    "tests/test_retry.py": "from retry import Retry\n\n\ndef test_sleep():\n    assert Retry().sleep(1) == 1.1\n",
    "README.md": "# Retry\n\nIt tries again.\n\n## Waiting\n\nThe pause doubles each time.\n",
    "pyproject.toml": '[project]\ndependencies = [\n  "httpx==0.27.0",\n]\n',
    "settings.ini": "[auth]\npassword = kjhkHKJ876876" + "jhgJHGlkj\n",
    "data.csv": "a,b\nneedle,2\n",
}

KEY = "AKIA" + "IOSFODNN7EXAMPLA"

Open = Callable[..., Awaitable[tuple[Code, Toolbox]]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    codes: list[Code] = []

    async def open_(*locations: Path | str) -> tuple[Code, Toolbox]:
        code = await Code.open([Source(kind="code", location=str(place)) for place in locations], Cache(tmp_path / "cache"))
        codes.append(code)
        box = Toolbox()
        box.add(*code.tools())
        return code, box

    yield open_
    for code in codes:
        await code.close()


@pytest.fixture
async def box(opened: Open, tmp_path: Path) -> Toolbox:
    return (await opened(write(tmp_path / "project", FILES)))[1]


def places(passages: Sequence[Passage]) -> list[tuple[str, tuple[int, int] | None]]:
    return [(p.source, p.locator.lines) for p in passages]


def test_every_tool_says_when_to_use_it() -> None:
    for tool in Code([], []).tools():
        assert len(tool.__doc__ or "") > 60, tool


async def test_search(box: Toolbox) -> None:
    found = await box.call("search", query="how long is the pause before the next attempt", limit=3)
    assert [h.passage.title for h in found.hits][:1] == ["Retry.sleep"]
    assert found.hits[0].passage.role == "definition"
    assert found.passages > 8


async def test_grep(box: Toolbox) -> None:
    assert places((await box.call("grep", pattern=r"return retry\(")).passages) == [("src/client.ts", (4, 8))]
    assert places((await box.call("grep", pattern="needle")).passages) == [("data.csv", (1, 3))]
    assert (await box.call("grep", pattern="needle", path="src/**")).passages == ()
    with pytest.raises(Invalid, match="no regular expression"):
        await box.call("grep", pattern="(")


async def test_structural(box: Toolbox) -> None:
    found = await box.call("structural", pattern="retry($A)", language="typescript")
    assert places(found.passages) == [("src/client.ts", (6, 6))]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("Retry.sleep", "Retry.sleep"),
        ("sleep()", "Retry.sleep"),
        ("retry", "Retry"),
        ("max_retries", "MAX_RETRIES"),
        ("max-retries", "MAX_RETRIES"),
        ("backoffFactor", "Retry.backoff_factor"),
        ("jitter", "Retry.sleep.jitter"),
        ("main", "Main"),
        ("sen", "Client.send"),
    ],
)
async def test_symbols(box: Toolbox, name: str, first: str) -> None:
    found = await box.call("symbols", name=name)
    assert found[0].title == first
    assert found[0].role == "definition"


async def test_no_symbol(box: Toolbox) -> None:
    assert await box.call("symbols", name="nothing_of_the_kind") == []
    for name in ("", "()", "..", "!"):
        with pytest.raises(Invalid, match="is no name"):
            await box.call("symbols", name=name)


async def test_references_are_whole_words(box: Toolbox) -> None:
    assert {p.source for p in (await box.call("references", name="Retry")).passages} == {
        *("src/retry.py", "tests/test_retry.py", "README.md"),
    }


async def test_outline(box: Toolbox) -> None:
    outline = await box.call("outline", path="src/retry.py")
    assert [(s.name, s.kind, s.lines) for s in outline.symbols] == [
        ("MAX_RETRIES", "constant", (3, 3)),
        ("Retry", "class", (6, 17)),
        ("Retry.backoff_factor", "constant", (9, 9)),
        ("Retry.sleep", "function", (11, 17)),
        ("Retry.sleep.jitter", "function", (14, 15)),
    ]
    with pytest.raises(Invalid, match="no language with an outline"):
        await box.call("outline", path="settings.ini")


async def test_read(box: Toolbox) -> None:
    found = await box.call("read", path="src/retry.py", first=6, last=7)
    assert (found.text, found.locator.lines) == ('class Retry:\n    """How often, and how long to wait."""', (6, 7))
    assert (await box.call("read", path="data.csv")).locator.lines == (1, 2)
    assert (await box.call("read", path="data.csv", first=2, last=99)).locator.lines == (2, 2)
    for first, last in ((0, 1), (9, 10), (2, 1), (-3, -1)):
        with pytest.raises(Invalid, match="has lines 1 to 2"):
            await box.call("read", path="data.csv", first=first, last=last)


async def test_list_files(box: Toolbox) -> None:
    [everything] = await box.call("list_files")
    assert everything.paths == tuple(sorted(FILES))
    [python] = await box.call("list_files", path="*.py")
    assert python.paths == ("src/retry.py", "tests/test_retry.py")
    [limited] = await box.call("list_files", limit=2)
    assert (len(limited.paths), limited.note) == (2, "6 more: narrow the glob")


async def test_dependencies_with_the_line_that_declares_them(opened: Open, tmp_path: Path) -> None:
    _, box = await opened(write(tmp_path / "p", FILES | {"web/package.json": "{", "requirements.txt": b"\xff\xfe\0bin"}))
    found = await box.call("dependencies")
    assert [(d.name, d.pinned, d.passage.text, places([d.passage])) for d in found.found] == [
        ("httpx", True, '  "httpx==0.27.0",', [("pyproject.toml", (3, 3))])
    ]
    assert [p.split(":")[0] for p in found.problems] == ["web/package.json cannot be parsed"]


async def test_secrets(box: Toolbox) -> None:
    found = await box.call("secrets")
    assert [(o.severity, o.passages[0].source, o.passages[0].text) for o in found.found] == [
        ("medium", "settings.ini", "password = ********")
    ]


async def test_history_and_blame_of_a_local_checkout(opened: Open, repo: Callable[[str], Repo]) -> None:
    origin = repo("origin")
    commit = origin.commit({"a.py": "x = 1\n"}, "Why it is one")
    _, box = await opened(origin.root)
    assert [p.title for p in await box.call("history", path="a.py")] == ["Why it is one"]
    assert (await box.call("blame", path="a.py", first=1, last=1)).text.startswith(commit[:12])
    for path in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(Invalid):
            await box.call("history", path=path)
    with pytest.raises(Invalid, match=f"give 1 to {MOST_LINES} lines"):
        await box.call("blame", path="a.py", first=0, last=1)


async def test_a_git_url(opened: Open, repo: Callable[[str], Repo]) -> None:
    origin = repo("origin")
    origin.commit(FILES)
    code, box = await opened(origin.url)
    assert code.problems == []
    assert (await box.call("symbols", name="Retry.sleep"))[0].source == "src/retry.py"
    with pytest.raises(Invalid, match="was cloned without its past"):
        await box.call("history")
    origin.commit({"src/more.py": "def brand_new(): pass\n"})
    _, again = await opened(origin.url)
    assert (await again.call("symbols", name="brand_new"))[0].source == "src/more.py"


async def test_several_sources(opened: Open, tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"a.py": "def alpha(): pass\n", "only.py": "x = 1\n"})
    two = write(tmp_path / "two", {"a.py": "def beta(): pass\n", "b/c.py": "def gamma(): pass\n"})
    code, box = await opened(one, two, one)
    assert {h.passage.title for h in (await box.call("search", query="alpha beta gamma")).hits} == {"alpha", "beta", "gamma"}
    assert (await box.call("read", path="a.py")).text == "def alpha(): pass"
    assert (await box.call("read", path="b/c.py")).text == "def gamma(): pass"
    assert (await box.call("read", path="a.py", root=str(two))).text == "def beta(): pass"
    assert [(each.root, each.paths) for each in await box.call("list_files")] == [
        (str(one), ("a.py", "only.py")),
        (str(two), ("a.py", "b/c.py")),
    ]
    found = (await box.call("grep", pattern="def ")).passages
    assert [(p.root, p.source) for p in found] == [(str(one), "a.py"), (str(two), "a.py"), (str(two), "b/c.py")]
    assert [p.root for p in (await box.call("grep", pattern="def ", root=str(two))).passages] == [str(two)] * 2
    cut = await box.call("grep", pattern="def ", limit=1)
    assert (len(cut.passages), cut.note) == (1, f"not searched any more: {two}: narrow it, or name the root")
    for tool, arguments in (("symbols", {"name": "beta"}), ("references", {"name": "beta"}), ("search", {"query": "beta"})):
        assert {p.root for p in passages(await box.call(tool, **arguments))} == {str(two)}, tool
    assert code.problems == []
    with pytest.raises(Invalid, match="no source is called 'three'"):
        await box.call("read", path="a.py", root="three")


async def test_what_changed_is_seen_and_the_rest_not_read_again(opened: Open, tmp_path: Path) -> None:
    root = write(tmp_path / "p", FILES)
    await opened(root)
    (root / "README.md").unlink()
    write(root, {"new.py": "def brand_new(): pass\n"})
    _, box = await opened(root)
    assert [h.passage.source for h in (await box.call("search", query="brand_new")).hits] == ["new.py"]
    assert "README.md" not in {h.passage.source for h in (await box.call("search", query="pause doubles")).hits}


async def test_sources_that_cannot_be_read(opened: Open, tmp_path: Path, repo: Callable[[str], Repo]) -> None:
    good = write(tmp_path / "good", FILES)
    for bad in (tmp_path / "nowhere", good / "README.md", "ext::sh -c x", f"file://{tmp_path}/nowhere"):
        with pytest.raises(SourceError):
            await opened(good, bad)
    _, box = await opened()
    assert (await box.call("search", query="x")).hits == ()
    with pytest.raises(SourceError, match="there is no code"):
        await box.call("read", path="a.py")


async def test_a_hostile_tree(opened: Open, tmp_path: Path) -> None:
    secret = tmp_path / "outside.py"
    secret.write_text("def outside(): pass\n")
    odd = ["-rf.py", "new\nline.py", "glob*[a]?.py", "$(touch x).py", "üñí.py"]
    root = write(
        tmp_path / "p",
        {name: f"def odd{i}(): pass\n" for i, name in enumerate(odd)}
        | {"binary.py": b"\x7fELF\0\0\0", "latin.py": "# caf\xe9\ndef latin(): pass\n".encode("latin-1")}
        | {"long.js": "f(1);" * 200_000, "broken.py": "def broken(:\n\ndef fine(): pass\n", "empty.py": ""},
    )
    (root / "link.py").symlink_to(secret)
    (root / "loop").symlink_to(root)
    (root / "gone.py").symlink_to("nowhere")
    os.mkfifo(root / "pipe.py")
    with (root / "huge.py").open("wb") as huge:
        huge.truncate(50_000_000)
    code, box = await opened(root)

    for i, name in enumerate(odd):
        assert places(await box.call("symbols", name=f"odd{i}")) == [(name, (1, 1))]
        assert (await box.call("read", path=name)).text == f"def odd{i}(): pass"
        assert await box.call("history", path=name) if False else True
    assert {p.source for p in await box.call("symbols", name="fine")} == {"broken.py"}
    assert "café" in (await box.call("read", path="latin.py")).text
    assert await box.call("symbols", name="outside") == []
    assert (await box.call("grep", pattern="outside")).passages == ()
    problems = dict(code.problems)
    assert {"link.py", "huge.py", "binary.py", "pipe.py", "gone.py"} <= problems.keys()
    assert "binary" in problems["binary.py"]
    for path in (
        "link.py",
        "../outside.py",
        str(secret),
        "huge.py",
        "pipe.py",
        "binary.py",
        "loop/../../outside.py",
        ".git/config",
    ):
        for tool in ("read", "outline"):
            with pytest.raises(SourceError):
                await box.call(tool, path=path)
    with pytest.raises(Invalid, match="too long to read"):
        await box.call("read", path="long.js")
    for tool, arguments in everything():
        await box.call(tool, **arguments)


def everything() -> list[tuple[str, dict[str, Any]]]:
    return [
        ("search", {"query": "def '\"*() NEAR -x"}),
        ("grep", {"pattern": "."}),
        ("structural", {"pattern": "f($A)", "language": "javascript"}),
        ("references", {"name": "f"}),
        ("list_files", {"path": "**/[*"}),
        ("dependencies", {}),
        ("secrets", {}),
    ]


async def test_the_loop_stays_free_while_a_large_tree_is_indexed(opened: Open) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(turn())
    await opened(Path(sysconfig.get_path("purelib")) / "click")
    other.cancel()
    assert turns > 100


async def test_closing_ends_a_refresh_under_way(tmp_path: Path) -> None:
    base = Base("x", Path(sysconfig.get_path("purelib")) / "_pytest", tmp_path / "index", history=None)
    refreshing = asyncio.create_task(asyncio.to_thread(base.refresh))
    while not base.files:
        await asyncio.sleep(0)
    await asyncio.to_thread(base.close)
    with pytest.raises(Cancelled):
        await refreshing


async def test_cancelled_in_the_middle_it_can_be_opened_again(opened: Open, tmp_path: Path) -> None:
    root = Path(sysconfig.get_path("purelib")) / "_pytest"
    opening = asyncio.create_task(opened(root))
    while not list(tmp_path.glob("cache/**/*.sqlite")):
        await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    _, box = await opened(root)
    assert (await box.call("symbols", name="fixture"))[0].title.endswith("fixture")


async def test_checks_of_several_sources(opened: Open, tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"requirements.txt": "first\n", "a.py": f'key = "{KEY}"\n'})
    two = write(tmp_path / "two", {"requirements.txt": "h11==0.14.0\n"})
    _, box = await opened(one, two)
    weak = await box.call("weak_dependencies")
    assert [(o.severity, o.passages[0].root) for o in weak.found] == [("critical", str(two)), ("medium", str(one))]
    assert [o.passages[0].root for o in (await box.call("weak_dependencies", root=str(one))).found] == [str(one)]
    assert (await box.call("secrets")).found[0].passages[0].text == 'key = "********"'
    assert (await box.call("unused")).left_out == (
        f"public names were not judged: they may be somebody's interface ({one})",
        f"there is no Python, the one language that is searched for dead code ({two})",
    )
    for tool in ("risks", "untested"):
        assert (await box.call(tool)).topic
    assert {spec.name for spec in box.specs if spec.checks} == {"weak_dependencies", "secrets", "risks", "untested", "unused"}


async def test_no_tool_shows_a_credential(opened: Open, tmp_path: Path) -> None:
    """Whatever is asked of the file that holds it."""
    shown = f'"""The key of the service, {KEY}."""\n\nSERVICE_KEY = "{KEY}"\n'
    root = write(tmp_path / "p", {"conf.py": shown})
    _, box = await opened(root)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("search", {"query": "key of the service"}),
        ("grep", {"pattern": "SERVICE_KEY"}),
        ("structural", {"pattern": "$A = $B", "language": "python"}),
        ("symbols", {"name": "SERVICE_KEY"}),
        ("references", {"name": "SERVICE_KEY"}),
        ("read", {"path": "conf.py"}),
    ]
    for tool, arguments in calls:
        shown = msgspec.json.encode(await box.call(tool, **arguments)).decode()
        assert "********" in shown, tool
        assert KEY not in shown, tool


async def test_what_could_not_be_read_for_a_moment_is_read_next_time(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells that it can be read now: size and time stamp are as they were. Until then it is named every time."""
    root = write(tmp_path / "p", {"retry.py": RETRY, "other.py": "def unrelated(): ...\n"})
    os.utime(root / "retry.py", (1_700_000_000, 1_700_000_000))
    pause = "pause before the next attempt"
    with monkeypatch.context() as patched:
        patched.setattr(tree, "_read", failing_at(RETRY[:20].encode()))
        for _ in range(2):
            code, box = await opened(root)
            assert "Too many open files" in dict(code.problems)["retry.py"]
            assert (await box.call("search", query=pause)).hits == ()
    for _ in range(2):
        code, box = await opened(root)
        assert code.problems == []
        assert (await box.call("search", query=pause)).hits[0].passage.source == "retry.py"


async def test_what_is_binary_though_its_name_says_otherwise_is_named_every_time(opened: Open, tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"binary.py": b"\x7fELF\0\0\0", "other.py": "def unrelated(): ...\n"})
    os.utime(root / "binary.py", (1_700_000_000, 1_700_000_000))
    for _ in range(3):
        code, _ = await opened(root)
        assert "binary" in dict(code.problems)["binary.py"]
