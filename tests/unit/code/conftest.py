from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from code_repositories import Files, Repo, write

from concertino.code.base import Base


@pytest.fixture
def repo(tmp_path: Path) -> Callable[[str], Repo]:
    return lambda name: Repo(tmp_path / name)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Callable[[Files], Base]]:
    """A code base of the files given, listed and not indexed."""
    made: list[Base] = []

    def base(files: Files) -> Base:
        root = write(tmp_path / f"source{len(made)}", files)
        made.append(Base(str(root), root, tmp_path / f"index{len(made)}.sqlite", history=None))
        made[-1].files = {file.path: file for file in made[-1].tree.files()}
        return made[-1]

    yield base
    for each in made:
        each.close()
