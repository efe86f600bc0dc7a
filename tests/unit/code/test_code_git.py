"""Git is run so that no configuration, of whomever, makes it run anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from code_repositories import Repo

from concertino.code.git import GitFailed, git

Make = Callable[[str], Repo]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


@pytest.fixture
def script(tmp_path: Path) -> tuple[Path, Path]:
    """A program, and the file that tells whether it ran."""
    ran, program = tmp_path / "ran", tmp_path / "hooks" / "reference-transaction"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    return program, ran


async def test_hooks_are_not_run(repo: Make, script: tuple[Path, Path]) -> None:
    program, ran = script
    origin = repo("origin")
    commit = origin.commit({"a": "1"})
    origin.git("config", "core.hooksPath", str(program.parent))
    await git("update-ref", "refs/heads/other", commit, cwd=origin.root)
    assert not ran.exists()
    origin.git("update-ref", "refs/heads/another", commit)
    assert ran.exists(), "it is a hook that git would have run"


async def test_nobody_is_asked_what_changed_in_a_folder(repo: Make, script: tuple[Path, Path]) -> None:
    program, ran = script
    origin = repo("origin")
    origin.commit({"a": "1"})
    origin.git("config", "core.fsmonitor", str(program))
    await git("status", "--short", cwd=origin.root)
    assert not ran.exists()
    origin.git("status", "--short")
    assert ran.exists(), "it is a program that git would have run"


async def test_an_address_that_is_a_program_is_none_whatever_the_operator_allows(home: Path, script: tuple[Path, Path]) -> None:
    program, ran = script
    (home / ".gitconfig").write_text('[protocol "ext"]\n\tallow = always\n')
    with pytest.raises(GitFailed, match="transport 'ext' not allowed"):
        await git("ls-remote", "--", f"ext::{program}", personal=True, cwd="/")
    assert not ran.exists()


async def test_the_configuration_of_the_operator_counts_only_where_a_server_is_reached(home: Path) -> None:
    (home / ".gitconfig").write_text("[relay]\n\tanswers = yes\n")
    assert await git("config", "relay.answers", personal=True, cwd="/") == b"yes\n"
    with pytest.raises(GitFailed):
        await git("config", "relay.answers", cwd="/")


async def test_nor_does_that_of_the_machine(home: Path) -> None:
    shown = (await git("-c", "alias.shown=!env", "shown", cwd=home)).decode().splitlines()
    assert {"GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1"} <= set(shown)
