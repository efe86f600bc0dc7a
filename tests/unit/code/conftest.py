from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from code_repositories import Repo


@pytest.fixture
def repo(tmp_path: Path) -> Callable[[str], Repo]:
    return lambda name: Repo(tmp_path / name)
