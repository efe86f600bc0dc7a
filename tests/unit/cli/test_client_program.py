"""``python -m concertino.client``: what it takes, what it refuses, and where it says so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from concertino.client.__main__ import main


def test_help_is_help_and_no_task(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m concertino.client [-h] REQUEST [KIND=LOCATION ...]\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "Why?"], "unrecognized arguments: --json"),
        (["Why?", "--nats=nats://x"], "unrecognized arguments: --nats=nats://x"),
        (["Why?", "guide.md"], "'guide.md' is no KIND=LOCATION, as in docs=/srv/manual"),
        (["Why?", "docs="], "'docs=' is no KIND=LOCATION"),
        (["Why?", "Docs=guide.md"], "'Docs=guide.md' is no KIND=LOCATION"),
        ([], "the following arguments are required: REQUEST"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_without_a_server_one_line_says_so_and_nothing_else_is_printed() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CTN_")}
    found = subprocess.run(
        [sys.executable, "-m", "concertino.client", "--", "-x: why?"],
        env=environment | {"CTN_NATS_URL": "nats://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("no NATS server answers at nats://127.0.0.1:1")
    assert found.stderr.count("\n") == 1
