"""Risky calls, by the shape of code: found where they are risky, and not where they are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from code_repositories import Files

from concertino.code.base import Base
from concertino.code.checks import risks

Make = Callable[[Files], Base]


@pytest.mark.parametrize(
    ("name", "code", "severity"),
    [
        ("a.py", "import yaml\nx = yaml.load(f)\n", "high"),
        ("a.py", "import yaml\nx = yaml.load(f, Loader=yaml.Loader)\n", "high"),
        ("a.py", "import yaml\nx = yaml.unsafe_load(f)\n", "high"),
        ("a.py", 'subprocess.run(f"ls {path}", shell=True)\n', "medium"),
        ("a.py", "subprocess.check_output(\n    command,\n    shell=True,\n)\n", "medium"),
        ("a.py", 'os.system("git clone " + url)\n', "medium"),
        ("a.py", "pickle.loads(data)\n", "medium"),
        ("a.py", "value = eval(text)\n", "low"),
        ("a.py", "requests.get(url, verify=False)\n", "high"),
        ("a.py", "context.verify_mode = ssl.CERT_NONE\n", "low"),
        ("a.py", 'jwt.decode(token, options={"verify_signature": False})\n', "high"),
        ("a.py", "name = tempfile.mktemp()\n", "medium"),
        ("a.py", 'open("/tmp/state", "w")\n', "low"),
        ("a.py", "import tarfile\ntar.extractall(folder)\n", "medium"),
        ("a.py", "hashlib.md5(data).hexdigest()\n", "info"),
        ("a.py", "from flask import Flask\napp.run(debug=True)\n", "high"),
        ("a.py", "client.set_missing_host_key_policy(paramiko.AutoAddPolicy())\n", "high"),
        ("a.js", "const f = new Function(text)\n", "medium"),
        ("a.ts", "eval(text)\n", "medium"),
        ("a.go", "package a\nvar c = &tls.Config{InsecureSkipVerify: true}\n", "high"),
        ("A.java", "class A { void a() { new ObjectInputStream(in); } }\n", "medium"),
    ],
)
def test_risky(base: Make, name: str, code: str, severity: str) -> None:
    found = risks.check(base({name: code})).found
    assert [(o.severity, o.passages[0].source) for o in found] == [(severity, name)]
    assert found[0].advice


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.py", "import yaml\nx = yaml.safe_load(f)\ny = yaml.load(f, Loader=yaml.SafeLoader)\nz = yaml.load(f, Loader)\n"),
        ("a.py", "from ruamel.yaml import YAML\nyaml = YAML()\nx = yaml.load(f)\n"),
        ("a.py", 'subprocess.run(["ls", path])\nsubprocess.run("ls -l", shell=True)\nsubprocess.run(x, shell=False)\n'),
        ("a.py", 'os.system("clear")\n'),
        ("a.py", "ast.literal_eval(text)\nmodel.eval()\nself.exec(x)\nre.compile(x)\n"),
        ("a.py", "pickle.dumps(x)\njson.loads(x)\n"),
        ("a.py", "requests.get(url, verify=True)\n"),
        ("a.py", 'jwt.decode(token, key, algorithms=["HS256"])\n'),
        ("a.py", 'import tarfile\ntar.extractall(folder, filter="data")\n'),
        ("a.py", "import zipfile\nzip.extractall(folder)\n"),
        ("a.py", "hashlib.md5(data, usedforsecurity=False)\nhashlib.sha256(data)\n"),
        ("a.py", '"""Never call eval(text) or pickle.loads(data)."""\n# os.system(x)\n'),
        ("a.py", "app.run(debug=True)\n"),
        ("a.go", "package a\nvar c = &tls.Config{MinVersion: 1}\n"),
        ("a.js", 'eval("1 + 1")\n'),
        ("tests/test_a.py", "pickle.loads(data)\n"),
        ("examples/a.py", "pickle.loads(data)\n"),
        ("notes.txt", "pickle.loads(data)\n"),
    ],
)
def test_not_risky(base: Make, name: str, code: str) -> None:
    assert risks.check(base({name: code})).found == ()


def test_one_finding_for_one_sort_with_its_places(base: Make) -> None:
    files = {f"m{n}.py": "pickle.loads(a)\n\n\npickle.load(\n    b\n)\n" for n in range(3)}
    checked = risks.check(base(files | {"vendor/x.py": "eval(x)\n"}))
    assert len(checked.found) == 1
    claim = (
        "In 6 places bytes are turned into objects in a way that can run code: `m0.py:1`, `m0.py:4`, `m1.py:1`, `m1.py:4` and"
    )
    assert checked.found[0].claim.startswith(claim)
    assert [(p.source, p.locator.lines, p.text) for p in checked.found[0].passages][:2] == [
        ("m0.py", (1, 1), "pickle.loads(a)"),
        ("m0.py", (4, 6), "pickle.load(\n    b\n)"),
    ]
    assert "copies of other projects are not searched for risky calls" in checked.left_out
    assert checked.looked_at == "3 files"


def test_it_ends_in_time_and_says_so(base: Make) -> None:
    checked = risks.check(base({"a.py": "eval(x)\n"}), seconds=-1)
    assert checked.found == ()
    assert "the search for risky calls stopped after -1 seconds" in checked.left_out
