"""The test that the page on testing shows is run, and the replies that it lists are those that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from concertino.testing import Reply

PAGE = (Path(__file__).parent.parent.parent / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_test_passes() -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_reply_is_listed() -> None:
    assert {kind.__name__ for kind in get_args(Reply)} <= set(re.findall(r"\b[A-Z]\w+", PAGE))
