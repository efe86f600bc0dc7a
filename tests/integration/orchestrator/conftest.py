"""An orchestra without a conductor: each test adds its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from orchestra import Orchestra

from concertino.contracts.subjects import Subjects


@pytest.fixture
async def orchestra(subjects: Subjects) -> AsyncIterator[Orchestra]:
    found = Orchestra(subjects)
    await found.connect()
    yield found
    await found.close()
