"""The examples as a reader would run them: processes of their own, beside the real services, on a real server."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from concertino.bus.jetstream import JetStream
from concertino.bus.tasklog import TaskLog
from concertino.cli.fleet.fleet import Fleet
from concertino.cli.fleet.services import ALWAYS, own_workers
from concertino.client import Client, Limits, Plan, Source, Subtask
from concertino.contracts.codec import MAX_MESSAGE
from concertino.contracts.messages import Outcome, OutcomeStatus, Report
from concertino.contracts.subjects import Subjects
from concertino.runtime.settings import settings
from kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

EXAMPLES = Path(__file__).parents[3] / "examples"
REQUEST = "Under which licence does this project stand?"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").write_text('[project]\nname = "kettle"\nlicense = "MPL-2.0"\n')
    (folder / "LICENSE").write_text("Mozilla Public License Version 2.0\n\n1. Definitions\n")
    (folder / "kettle.py").write_text('def boil():\n    """Boil the water of the kettle."""\n')
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The fleet, with the example worker beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTN_CACHE", str(tmp_path_factory.mktemp("cache")))
        services = (*ALWAYS, *own_workers([str(EXAMPLES / "licenses.py")]))
        fleet = Fleet(settings(), lambda *_: None, store=tmp_path_factory.mktemp("nats"), services=services)
        await fleet.start(strict=True)
    async with Client(fleet.url) as client:

        async def there() -> bool:
            return "licenses" in {worker.kind for worker in await client.workers()}

        await until(there, "the worker announces itself")
    yield fleet.url
    await fleet.stop(10.0)


async def run(url: str, example: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / example), *arguments),
        env={**os.environ, "CTN_NATS_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    return out.decode()


async def test_a_worker_of_ones_own_is_reached_through_the_planner_and_cited(url: str, project: Path) -> None:
    async with Client(url) as client:
        task = await client.ask(REQUEST, sources=[Source(kind="code", location=str(project))], limits=Limits(deadline=240))
    assert task.status == "answered", task.reason
    [mine] = [subtask for subtask in task.subtasks if subtask.kind == "licenses"]
    assert (mine.status, len(mine.findings)) == ("complete", 2)
    assert task.report is not None
    cited = {(c.source, c.locator.lines, c.quote) for c in task.report.citations}
    assert ("pyproject.toml", (3, 3), 'license = "MPL-2.0"') in cited
    assert ("LICENSE", (1, 1), "Mozilla Public License Version 2.0") in cited


BSD = """Copyright (c) 2021, Jim Crist-Harif
All rights reserved.

Redistribution and use in source and binary forms, with or without modification,
are permitted provided that the following conditions are met:
"""
MIT = """The MIT License (MIT)

Copyright (c) 2020 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
"""


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (BSD, "declares BSD, by its words: Redistribution and use in source and binary forms, with or without modification"),
        (MIT, "declares: The MIT License (MIT)"),
        (MIT.partition("\n\n")[2], "declares MIT, by its words: Permission is hereby granted, free of charge, to any person"),
        ("\n\n      Apache License\n   Version 2.0, January 2004\n", "declares: Apache License"),
        ("Copyright 2024 Somebody\nSPDX-License-Identifier: EUPL-1.2\n", "declares: SPDX-License-Identifier: EUPL-1.2"),
        ("This is free and unencumbered software released into the public domain.\n", "declares: This is free"),
        ("Copyright (c) 2021 Somebody. All rights reserved.\n", "No file of the project declares a licence."),
    ],
)
async def test_a_licence_is_known_by_its_title_or_its_words_and_not_by_who_wrote_it(
    url: str, tmp_path: Path, text: str, claim: str
) -> None:
    (tmp_path / "LICENSE").write_text(text)
    folder = Source(kind="code", location=str(tmp_path))
    plan = Plan(subtasks=(Subtask(id="s1", kind="licenses", objective=REQUEST, sources=(folder,)),))
    async with Client(url) as client:
        task = await client.ask(REQUEST, sources=[folder], plan=plan, limits=Limits(max_rounds=1))
    [mine] = task.subtasks
    said = [finding.claim for finding in mine.findings] or list(mine.gaps)
    assert len(said) == 1
    assert claim in said[0]


async def test_it_is_left_alone_where_nobody_speaks_of_licences(url: str, project: Path) -> None:
    async with Client(url) as client:
        task = await client.ask("How does the kettle boil water?", sources=[Source(kind="code", location=str(project))])
    assert [subtask.kind for subtask in task.subtasks] == ["code"]


async def test_a_project_without_a_licence_is_said_to_have_none(url: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def a():\n    return 1\n")
    async with Client(url) as client:
        task = await client.ask(REQUEST, sources=[Source(kind="code", location=str(tmp_path))])
    assert task.report is not None
    assert "No file of the project declares a licence." in task.report.text


@pytest.mark.parametrize("example", ["submit.py", "raw_nats.py"])
async def test_submitting_prints_the_report(url: str, project: Path, example: str) -> None:
    report = await run(url, example, REQUEST, str(project))
    assert '`pyproject.toml:3` declares: license = "MPL-2.0"' in report


@pytest.mark.parametrize("example", ["submit.py", "raw_nats.py"])
async def test_submitting_what_cannot_be_done_prints_the_reason(url: str, tmp_path: Path, example: str) -> None:
    assert "no such file" in (await run(url, example, REQUEST, str(tmp_path / "nowhere"))).lower()


async def test_an_outcome_is_inline_for_as_long_as_it_fits_a_message(url: str) -> None:
    bus = await JetStream.connect(url, "test", Subjects())
    log = TaskLog(bus, Subjects())
    for task, size in (("inline", MAX_MESSAGE - 1000), ("large", MAX_MESSAGE * 2)):
        outcome = Outcome(status=OutcomeStatus.ANSWERED, reason="so", report=Report(text="é" * (size // 2)))
        await log.write(task, "outcome", outcome)
    [inline] = await bus.read("CTN_TASKS", "ctn.task.inline.outcome")
    [large] = await bus.read("CTN_TASKS", "ctn.task.large.outcome")
    assert json.loads(inline.data)["status"] == "answered"
    digest = large.headers["Ctn-Blob"]
    # As the example reads it, with nothing but a NATS client.
    script = f"import asyncio, nats, sys; sys.path.insert(0, {str(EXAMPLES)!r}); from raw_nats import blob\n" + (
        "async def main():\n"
        f"    nc = await nats.connect({url!r})\n"
        f"    sys.stdout.buffer.write(await blob(nc.jetstream(), 'orchestrator', {digest!r}))\n"
        "    await nc.close()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert hashlib.sha256(out).hexdigest() == digest
    await bus.close()


async def test_the_worker_is_short() -> None:
    assert len((EXAMPLES / "licenses.py").read_text().splitlines()) <= 41
