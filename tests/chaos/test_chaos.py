"""A short run of ``make chaos``: nothing is lost, done twice or left behind, whatever breaks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos.run import Half, run
from tests.chaos.verdict import verdict

FLEET = ("orchestrator-1", "orchestrator-2", "synthesizer", "docs", "code", "web", "general", "tally", "brittle")


@pytest.mark.nats
@pytest.mark.processes
@pytest.mark.timeout(280)
async def test_nothing_is_lost(tmp_path: Path) -> None:
    told: list[str] = []
    half = Half(15, 0, 10.0, 3, FLEET, tmp_path, lease=3.0, deadline=40.0, pace=0.5)
    came = await run(half, told.append)
    judged = verdict(came.evidence)
    assert judged.good, "\n".join([*told, *came.notes, str(judged)])
    assert judged.submitted == judged.outcomes > 5
    assert judged.recovery, "nothing broke while a task was under way"
