"""The audit of the examples, of three repositories with known faults: every fault is in the report, and no secret is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from concertino.cli.scenario import read_scenario

AUDIT = Path(__file__).parents[3] / "examples" / "scenarios" / "audit"
SECRET = "AKIA" + "IOSFODNN7EXAMPLA"
BODY = "\n".join(f"    x{n} = {n}" for n in range(30))
REPOSITORIES = {
    "shop": {
        "requirements.txt": "PyYAML==5.3.1\nflask\n",
        "shop/pay.py": f'KEY = "{SECRET}"\n\n\ndef pay():\n{BODY}\n',
        "shop/run.py": 'import os\n\n\ndef run(name):\n    os.system("deploy " + name)\n',
    },
    "tidy": {
        "pyproject.toml": '[project]\nname = "tidy"\ndependencies = ["httpx>=0.28,<1"]\n',
        "tidy/core.py": f"def work():\n{BODY}\n",
        "tests/test_core.py": "from tidy.core import work\n\n\ndef test_work():\n    work()\n",
    },
    "attic": {"attic/old.py": f"def _forgotten():\n{BODY}\n\n\ndef kept():\n    return 1\n"},
}


def test_it_names_fifty_packages_that_are_there() -> None:
    """Where Python brings no setuptools it is one less."""
    scenario = read_scenario(AUDIT / "task.toml")
    assert len(scenario.code) in (49, 50)
    assert len(set(scenario.code)) == len(scenario.code)
    assert all((Path(folder) / "RECORD").is_file() for folder in scenario.code)
    assert scenario.max_subtasks == 50


@pytest.mark.processes
@pytest.mark.nats
def test_known_faults_are_reported_and_no_secret_is(tmp_path: Path) -> None:
    options: list[str] = []
    for name, files in REPOSITORIES.items():
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        options += ["--code", str(tmp_path / name)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CTN_", "ANTHROPIC_"))}
    done = subprocess.run(
        [sys.executable, "-m", "concertino.cli", "ask", f"@{AUDIT}", "--json", "--quiet", *options],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=kept | {"CTN_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout
    task = json.loads(done.stdout)
    assert task["status"] == "answered"
    assert len(task["subtasks"]) == 3
    text = task["report"]["text"]
    assert text.startswith(
        "**7 findings in 3 repositories: 1 critical, 1 high, 2 medium, 3 low.** Something is to be done in shop;"
    )
    for said in (
        "**1. critical · shop · dependencies.** `requirements.txt:1` pins `PyYAML` 5.3.1, which looks vulnerable",
        "**2. high · shop · secrets.** `shop/pay.py:1` holds what looks like an AWS Access Key.",
        '```python\nKEY = "********"\n```',
        "In 1 place a command that is put together goes through a shell: `shop/run.py:5`.",
        "`requirements.txt:2` names no version at all for 1 of 2 dependencies: `flask`.",
        "  - low · dead code: `attic/old.py:1` has a private function that nothing uses: `_forgotten`.",
        "| attic | · | · | · | 2 | – | 1 | · | · | 1 |",
        "| tidy | · | · | · | · |",
        "- secrets: nothing in 2 of 3 repositories, that is in all but shop",
        "- dependencies: there is no manifest that could be read (attic)",
    ):
        assert said in text, text
    shown = {(c["source"], c["root"].rpartition("/")[2]) for c in task["report"]["citations"]}
    assert {("requirements.txt", "shop"), ("shop/pay.py", "shop"), ("attic/old.py", "attic")} <= shown
