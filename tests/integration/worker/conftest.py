"""A stage for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from worker_stage import Stage


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.open()
    yield stage
    await stage.close()
