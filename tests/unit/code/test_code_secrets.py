from __future__ import annotations

import msgspec

from concertino.code.pieces import LONGEST_LINE
from concertino.code.secrets import scan

KEY = "AKIA" + "IOSFODNN7EXAMPLA"
PASSWORD = "hunter2" * 2
TOKEN = "kjhkHKJ876876" + "jhgJHGlkj"
FILES = [
    ("a.py", f'import os\naws_key = "{KEY}"\nurl = "https://bob:{PASSWORD}@host/x"\nfine = os.environ["X"]\n'),
    ("b.yaml", f"a:\n  password: {TOKEN}\n"),
    ("evil/../../x\n.ini", f"[a]\npassword = {TOKEN}\n"),
]


def test_place_and_type_are_told_and_the_value_never() -> None:
    found = scan(FILES, limit=50).found
    assert {(s.source, s.line) for s in found} == {("a.py", 2), ("a.py", 3), ("b.yaml", 2), ("evil/../../x\n.ini", 2)}
    assert {"AWS Access Key", "Basic Auth Credentials", "Secret Keyword"} <= {s.type for s in found}
    told = msgspec.json.encode(found).decode()
    for value in (KEY, PASSWORD, TOKEN):
        assert not any(value[i : i + 5] in told for i in range(len(value) - 5))
    assert all(s.masked.endswith("********") for s in found)


def test_limits_are_told() -> None:
    assert "more than 1" in scan(FILES, limit=1).note
    assert "stopped after 0 seconds, at a.py" in scan(FILES, limit=9, seconds=0).note
    assert scan(FILES, limit=9).note == ""


def test_a_line_no_person_wrote_is_not_scanned() -> None:
    assert (
        scan([("a.js", "f(1);" * LONGEST_LINE + f'password = "{TOKEN}"\npassword = "{TOKEN}"\n')], limit=9).found[0].line == 2
    )
