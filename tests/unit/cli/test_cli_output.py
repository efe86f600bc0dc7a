"""Where what is printed goes when nobody reads it any more."""

from __future__ import annotations

import os
import subprocess
import sys

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
        done = subprocess.run([sys.executable, "-c", SHOW], stdout=nobody, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 141, done.stderr
