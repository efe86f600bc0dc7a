"""Where what is printed goes when nobody reads it any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys

ALL = """
from concertino.cli.output import show_report, show_timeline, show_tree, write_page
from concertino.cli.plain import forgiving
from concertino.contracts.messages import *
from concertino.contracts.state import State
from concertino.contracts.timeline import timeline
import sys
forgiving(sys.stdout, sys.stderr)
state = State("t")
state.submitted = Submitted(request="Wie heißt “es” – genau?")
state.plans[0] = Planned(plan=Plan(subtasks=(Subtask(id="s1", kind="docs", objective="So…"),)))
state.results["result.docs.s1"] = Result(gaps=("naïve · text",))
state.outcome = Outcome(status=OutcomeStatus.PARTIAL, reason="naïve", report=Report(text="It’s “naïve” → so…"))
state.times |= {"submitted": 1.0, "plan.0": 1.5, "result.docs.s1": 2.0, "outcome": 3.0}
if sys.argv[1] == "text":
    show_tree(state, 5.0)
    show_report(state, as_json=False)
    show_timeline(timeline(state, 5.0), everything=True)
    print("· said", file=sys.stderr)
elif sys.argv[1] == "json":
    show_report(state, as_json=True)
else:
    write_page("<p>naïve ◆", "-")
"""
SHOW = """
import sys
from concertino.cli.output import show_timeline
from concertino.contracts.state import State
from concertino.contracts.timeline import timeline
try:
    show_timeline(timeline(State("t"), 0.0), everything=False)
except BrokenPipeError:
    sys.stdout = None
    sys.exit(141)
"""


def test_a_reader_that_has_seen_enough_is_no_failure_of_ours() -> None:
    """As with ``concertino trace TASK | head -1``: whoever runs the command ends as all others do then."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = subprocess.run([sys.executable, "-c", SHOW], stdout=nobody, stderr=subprocess.PIPE, timeout=200, check=False)
    assert done.returncode == 141, done.stderr


def ascii_output(form: str) -> tuple[bytes, bytes]:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", ALL, form], capture_output=True, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, done.stderr


def test_a_terminal_that_has_no_other_characters_gets_plain_ones() -> None:
    out, err = (said.decode("ascii") for said in ascii_output("text"))
    assert 'It\'s "na\\xefve" -> so...' in out
    assert "**partial** (na\\xefve) - 2.0 s - task t" in out
    assert err == "- said\n"


def test_what_says_that_it_is_utf8_is_so_in_every_locale() -> None:
    assert json.loads(ascii_output("json")[0])["report"]["text"] == "It’s “naïve” → so…"
    assert ascii_output("page")[0].decode() == "<p>naïve ◆"
