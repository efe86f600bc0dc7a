"""Credentials as findings: what they weigh, and that no value of them stands in anything that is returned."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from code_repositories import Files

from concertino.code.base import Base
from concertino.code.checks import credentials
from concertino.code.secrets import scan
from concertino.contracts.messages import Locator, Passage
from concertino.masking import MARK, masked

Make = Callable[[Files], Base]
KEY = "AKIA" + "IOSFODNN7EXAMPLA"
PASSWORD = "kjhkHKJ876876" + "jhgJHGlkj"
GITHUB = "ghp_" + "wJalrXUtnFEMIK7MDENGbPxRfiCYzaTuvw12"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiI5NDc2MiJ9." + "4twFt5NiznN84AWoo1d7KO1T_yoc0Z6XOpOVswacPZg"
BODY = "\n".join(("MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7VJTUt9Us8cKj" + str(n)) for n in range(6))
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----\n"


def passage(text: str, source: str = "a.py") -> Passage:
    return Passage(source=source, text=text, locator=Locator(lines=(1, 1 + text.count("\n"))))


def test_severity_by_what_it_is_and_where(base: Make) -> None:
    found = credentials.check(
        base(
            {
                "aws.py": f'key = "{KEY}"\n',
                "app.ini": f"[a]\npassword = {PASSWORD}\n",
                "tests/test_a.py": f'key = "{KEY}"\n',
                "README.md": f'    token = "{GITHUB}"\n',
                "server.key": PEM,
            }
        )
    )
    assert sorted((o.passages[0].source, o.severity) for o in found.found) == [
        ("README.md", "low"),
        ("app.ini", "medium"),
        ("aws.py", "high"),
        ("server.key", "high"),
        ("tests/test_a.py", "low"),
    ]
    assert [o.severity for o in found.found] == ["high", "high", "medium", "low", "low"]
    told = msgspec.json.encode(found).decode()
    for value in (KEY, PASSWORD, GITHUB, *BODY.split("\n")):
        assert not any(value[i : i + 6] in told for i in range(len(value) - 6))
    assert found.looked_at == "5 files"


@pytest.mark.parametrize(
    "line",
    [
        'password = "password"',
        'API_KEY = "ANTHROPIC_API_KEY"',
        'secret_type = "Artifactory Credentials"',
        'client_secret="my-client-secret",',
        'url = "https://user:password@example.org/"',
        'url = f"https://{user}:{password}@host/"',
        'password = os.environ["PASSWORD"]',
        'token = "{{ token_from_the_environment_1 }}"',
        'ssh_key_type = "ecdsa-sha2-nistp256"',
        'aws = "AKIAIOSFODNN7EXAMPLE"',
        'HEADER = b"-----BEGIN OPENSSH PRIVATE KEY-----"',
        'password_id = "0fe7ccb4-b7f3-0236-fb05-f623be692496"',
        '"id": "toolu_01D7FLrfh4GYq7yT1ULFeyMV",',
        'ALPHABET = "GyYuUQqMLlwWdDFgEecabBChHKkjJmsSAzZOvVXx"',
    ],
)
def test_what_only_looks_like_one(line: str) -> None:
    assert scan([("a.py", line + "\n")], limit=9).found == ()
    assert masked(passage(line)).text == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f'a = 1\nkey = "{KEY}"\nb = 2', f'a = 1\nkey = "{MARK}"\nb = 2'),
        (f'x = "{GITHUB}" if y else "{GITHUB}"', f'x = "{MARK}" if y else "{MARK}"'),
        (f"url = 'https://bob:{PASSWORD}@host/x'", f"url = 'https://bob:{MARK}@host/x'"),
        (f"Authorization: Bearer {JWT}", f"Authorization: Bearer {MARK}"),
        (PEM, "-----BEGIN RSA PRIVATE KEY-----\n" + f"{MARK}\n" * 6 + "-----END RSA PRIVATE KEY-----\n"),
        (BODY, "\n".join([MARK] * 6)),  # a passage that begins inside of a key
        ('k = "-----BEGIN PRIVATE KEY-----\\n' + "A1b2" * 16 + '\\n"', MARK),
    ],
)
def test_passages_are_masked_and_keep_their_lines(text: str, shown: str) -> None:
    assert masked(passage(text)).text == shown
    assert shown.count("\n") == text.count("\n")


def test_a_passage_without_any_stays_the_very_same() -> None:
    plain = passage("def keys(self):\n    return list(self)")
    assert masked(plain) is plain
    wrapped = {"a": [plain, (plain, 3)]}
    assert masked(wrapped) is wrapped
    assert masked([plain, passage(f'key = "{KEY}"')])[1].text == f'key = "{MARK}"'
