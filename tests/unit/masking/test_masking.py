"""What is masked, what is not, and what becomes of what holds it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from concertino.contracts.codec import TYPES
from concertino.contracts.messages import Failure, Finding, Locator, Passage, Plan, Report, Result, Source, Subtask
from concertino.masking import (
    MARK,
    credentials,
    hits,
    learn,
    learn_environment,
    masked,
    remembering,
    values,
    without_credentials,
)
from concertino.masking.known import forget
from concertino.masking.texts import masked_text
from kit import planted

PASSWORD = planted.SECRETS["password"]


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.mark.parametrize(
    ("path", "text"),
    [("relay.ini", planted.SETTINGS), ("relay.py", planted.CODE), ("retries.md", planted.PAGE), ("server.key", planted.KEY)],
)
def test_no_secret_of_any_sort_is_left_and_lines_are_kept(path: str, text: str) -> None:
    clean = masked(text, path)
    assert not [secret for secret in planted.SECRETS.values() if secret in clean]
    assert clean.count("\n") == text.count("\n")
    assert MARK in clean
    assert masked(clean, path) is clean


def test_every_sort_is_among_those_texts() -> None:
    everything = planted.SETTINGS + planted.CODE + planted.PAGE + planted.KEY
    assert all(secret in everything for secret in planted.SECRETS.values())


@pytest.mark.parametrize(
    "sort", [sort for sort in planted.SECRETS if sort not in ("connection", "private_key", "url_password")]
)
def test_each_is_found_in_a_line_of_ten_thousand_characters(sort: str) -> None:
    secret = planted.SECRETS[sort]
    name = {"bearer": "Authorization: Bearer ", "jwt": "session=", "aws_secret": "aws_secret_access_key="}.get(
        sort, "password="
    )
    for before in (0, 1_990, 3_000, 9_000):
        line = f'{{"a":"{"b c" * (before // 3)}","{name}"{secret}","c":"{"d e" * 3_000}"}}'.replace(f'{name}"', f"{name}")
        assert secret not in masked(line, "page.json"), before


@pytest.mark.parametrize(
    "text",
    [
        "The password of the relay is changed each month, and its token is kept by the desk.",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 5c68390f1d2b7a4e6c8d9e0f1a2b3c4d5e6f7081",
        "id: 0fe7ccb4-b7f3-4236-bb05-f623be692496",
        "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
        "https://user:password@example.org/",
        "token = request.headers['x-token-2']",
        "secret: 2018-03-02T21:26:13Z",
        "--hash=sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "\n".join(f"{n:064x}" for n in range(2**255, 2**255 + 6)),
        "-----BEGIN CERTIFICATE-----\n" + "\n".join(["MIIDdTCCAl2gAwIBAgILBAAAAAABFUtaw5QwDQYJKoZIhvcNAQEFBQAwVzELMAkG"] * 6),
        "api_key: str | None = None",
        "see https://example.org/docs?key=value&page=2#token-2",
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert masked(text, "notes.md") is text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: Xy9$k2LmQw", "Xy9$k2LmQw"),
        ('"password": "Xy9$k2LmQw"', "Xy9$k2LmQw"),
        ("password: Testament7!xQ", "Testament7!xQ"),
        ("password = 'Kx9(mQ2k8[vT]'", "Kx9(mQ2k8[vT]"),
        ("token: 'abcd9f8e7d6c5b4a3f2e1d0c'", "abcd9f8e7d6c5b4a3f2e1d0c"),
        ("amqp://app:Vq$7rK2mZx9w@h", "Vq$7rK2mZx9w"),
        ("postgres://app:Vq%247rK2mZx9w@h/d", "Vq%247rK2mZx9w"),
        ("postgres://app:V(q)7!rK#2m@h/d", "V(q)7!rK#2m"),
        ("redis://:Vq7rK2mZx9w@h", "Vq7rK2mZx9w"),
        ("Server=db;User Id=a;Password=Vq$7rK2mZx9w;", "Vq$7rK2mZx9w"),
        ("db = connect('Password=Vq$7rK2mZx9w;Server=db')", "Vq$7rK2mZx9w"),
        ("SECRET_KEY = 'django-insecure-#4k=x(9)w@hds(k!f$2m7zq'", "x(9)w@hds(k!f$2m7zq"),
        ("https://a.blob.core.windows.net/b?sp=r&sig=Zk7%2FqLm9xW3%2BvT5yRb8%3D", "Zk7%2FqLm9xW3%2BvT5yRb8%3D"),
        ("DB_PASSWORD=Winter2025!", "Winter2025!"),
        (f"https://s3.internal/a?X-Amz-Expires=60&X-Amz-Signature={'9f3b7c1d5e8a2064' * 4}", "9f3b7c1d5e8a2064" * 4),
        ("it says npm_" + "Zk7qLm9xW3vT5yRb8Nc2Jd4Hf6Gs1Pa0QeUi there", "Zk7qLm9xW3vT5yRb8Nc2Jd4Hf6Gs1Pa0QeUi"),
        ("it says dckr_pat_" + "Zk7qLm9xW3vT5yRb8Nc2Jd4Hf6G there", "Zk7qLm9xW3vT5yRb8Nc2Jd4Hf6G"),
    ],
)
@pytest.mark.parametrize("path", ["notes.md", "", "settings.yaml"])
def test_secrets_of_usual_characters_are_masked(path: str, text: str, secret: str) -> None:
    assert secret not in masked(text, path)
    assert MARK in masked(text, path)


@pytest.mark.parametrize(
    "text",
    [
        "password: ${DB_PASSWORD_2}",
        "password=$DB_PASSWORD_2",
        'password: "{{ vault.db_password_2 }}"',
        "password = '%(db_password2)s'",
        "password: %DB_PASSWORD2%",
        "postgres://app:${DB_PASSWORD_2}@h/d",
        "postgres://app:$DB_PASSWORD_2@h/d",
        "postgres://{user1}:{password2}@{host}/d",
        "https://%s:%s@%s/",
        "https://USER:<password-2>@host/",
        'password = "<your-password-2>"',
        "secret: your-Secret-key-9xQ",
        "token = '1234567890abcdef1234567890abcdef'",
        "password = os.getenv('DB_PASSWORD_2')",
        "password = make_Password2(length)",
        "secret = config[Section2].value",
        "token: [a-zA-Z0-9_-]{20,40}",
        "http://host:8080/a@b",
        "http://user:password[@host",
        """Account(name='a', password=SecretBytes(b'**'))""",
        "#> {'password': 'Password=SecretBytes(b'",
    ],
)
def test_what_is_filled_in_and_what_is_computed_stays(text: str) -> None:
    assert masked(text, "notes.md") is text


def test_all_on_one_line() -> None:
    github, aws = planted.SECRETS["github"], planted.SECRETS["aws"]
    line = f'key = "{aws}"; password = "{PASSWORD}"; github = "{github}"'
    assert masked(line, "a.py") == f'key = "{MARK}"; password = "{MARK}"; github = "{MARK}"'


def test_what_was_found_beside_its_name_is_masked_where_it_stands_alone() -> None:
    assert masked(f"it says {PASSWORD} there") == f"it says {PASSWORD} there"
    masked(f"password: {PASSWORD}", "a.yaml")
    assert masked(f"it says {PASSWORD} there") == f"it says {MARK} there"


def test_each_piece_of_work_remembers_what_it_found_itself_and_what_leaves_beside_all_of_it_is_masked_of_all() -> None:
    said = f"it says {PASSWORD} there"
    learn(["the process's own"], forever=True)
    with remembering():
        masked(f"password: {PASSWORD}", "a.yaml")
        assert masked(said) == f"it says {MARK} there"
        with remembering():
            assert masked(said) == said
            assert masked("the process's own") == MARK
        assert masked(said) == f"it says {MARK} there"
    assert masked(said) == f"it says {MARK} there"


def test_only_the_latest_of_what_was_found_is_remembered() -> None:
    learn(["Kq8Zr2Wm5Yt9"])
    learn([f"found-{n:06}" for n in range(300)])
    assert masked("Kq8Zr2Wm5Yt9") == "Kq8Zr2Wm5Yt9"
    assert masked("found-000299") == MARK


def test_the_environment_is_masked_by_the_names_of_its_variables() -> None:
    learn_environment(
        {
            "CTN_NATS_PASSWORD": "orchestra pit",
            "ANTHROPIC_API_KEY": "not-of-any-form",
            "CTN_NATS_URL": "nats://me:lemonade!@bus:4222",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic b3RlbDpvdGVs,x=y",
            "CTN_NATS_PASSWORD_FILE": "/run/secrets/nats",
            "CTN_LOG_LEVEL": "information",
            "MY_TOKEN": "short",
            "DB_PASSWORD": "password",
        }
    )
    said = "orchestra pit not-of-any-form lemonade! b3RlbDpvdGVs /run/secrets/nats information short password"
    assert masked(said) == f"{MARK} {MARK} {MARK} {MARK} /run/secrets/nats information short password"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PWD", "/home/me/project"),
        ("PWD", "/srv/Vq7rK2mZx9w/4xQm"),
        ("OLDPWD", "/home/me/project"),
        ("DB_PWD", "/home/me/project"),
        ("SSH_TOKEN_DIR", "spool-of-7-tokens"),
        ("SSH_AUTH_SOCK", "/tmp/ssh-Vq7rK2mZx9w/agent.1"),
        ("XAUTHORITY", "/home/me/.Xauthority"),
        ("GIT_AUTHOR_NAME", "Ada Lovelace 1815"),
        ("GIT_AUTHOR_EMAIL", "ada1815!@example.org"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json"),
        ("TOKEN_URL", "https://login.internal/token"),
        ("SORT_KEY", "created-at-1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-dataset=relay-of-1815!,x-y=z"),
    ],
)
def test_a_folder_a_name_and_an_author_are_no_secrets_of_the_environment(name: str, value: str) -> None:
    learn_environment({name: value})
    assert masked(f"opening {value}/README.md") == f"opening {value}/README.md"


@pytest.mark.parametrize(
    "name", ["APP_CREDENTIALS", "NPM_TOKEN_RO", "GITHUB_PAT", "MY_PASS_OLD", "PGPASSWORD", "MYSQL_PWD", "X_AUTH", "SIGNING_KEY"]
)
def test_secrets_of_the_environment_are_known_by_any_usual_name(name: str) -> None:
    learn_environment({name: "lemonade!Vq7"})
    assert masked("it was lemonade!Vq7 then") == f"it was {MARK} then"


def test_a_key_of_the_environment_may_begin_as_a_path_does() -> None:
    key = f"/{planted.SECRETS['aws_secret']}Xy"
    learn_environment({"AWS_SECRET_ACCESS_KEY": key})
    assert masked(f"it was {key}") == f"it was {MARK}"


def test_whatever_holds_texts_is_masked_and_what_has_to_stay_stays() -> None:
    text = f'password = "{PASSWORD}"'
    location = "https://relay:Vq7-rK2mZx9w@git.internal/relay"
    subtask = Subtask(
        id="a", kind="code", objective=text, sources=(Source(kind="code", location=location),), params={"password": PASSWORD}
    )
    clean = masked(subtask)
    assert clean.objective == f'password = "{MARK}"'
    assert clean.sources == subtask.sources
    assert clean.params == subtask.params
    passage = Passage(source="a.py", text=text, locator=Locator(lines=(3, 3)), title=text, root=location)
    for value in (passage, [passage], {"a": (passage, 1)}, Result(notes=(text,)), {text: None}):
        assert PASSWORD not in str(masked(value)), value
        assert "Vq7" not in str(masked(value)), value


def test_addresses_are_shown_without_credentials() -> None:
    assert without_credentials("https://ghp_x@host/a and ssh://u:p@ss@h:22/b?c=d@e") == "https://host/a and ssh://h:22/b?c=d@e"
    assert list(credentials("https://tok@host/a git@host:b ssh://u:p@ss@h/")) == ["tok", "p@ss"]


_TREES: Any = st.recursive(
    st.none() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(_TREES)
def test_what_holds_no_secret_is_returned_as_it_is(value: Any) -> None:
    assert masked(value) is value or MARK in str(masked(value))


@given(st.text(max_size=300), st.sampled_from(sorted(planted.SECRETS)), st.text(max_size=300))
@example("", "jwt", "")
def test_it_ends_and_leaves_nothing_whatever_stands_around_it(before: str, sort: str, after: str) -> None:
    if sort in ("connection", "private_key", "url_password", "aws_secret", "bearer", "password"):
        return  # these are told by what stands beside them
    secret = planted.SECRETS[sort]
    assert secret not in masked(f"{before} {secret} {after}")


@pytest.mark.parametrize(
    "hostile",
    [
        "password=" * 20_000,
        "a" * 200_000,
        "://" + "a:" * 60_000 + "@",
        "eyJ" * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "key='" + "\\'" * 80_000,
        "\n".join(["secret = " + "[" * 1_900] * 60),
        "token" + " " * 150_000 + "x",
        "M" * 150_000 + ".",
        ("A" * 63 + "\n") * 3_000,
    ],
)
def test_no_text_takes_long(hostile: str) -> None:
    began = time.process_time()
    masked(hostile, "a.md")
    list(hits("a.md", hostile))
    assert time.process_time() - began < 20


def test_a_place_is_told_and_the_line_of_a_key_is_its_head() -> None:
    found = list(hits("server.key", planted.KEY))
    assert [(hit.line, hit.type, hit.below) for hit in found] == [(1, "Private Key", True)]
    assert re.fullmatch(
        r"-----BEGIN PRIVATE KEY-----\n(\*{8}\n){6}-----END PRIVATE KEY-----\n", masked(planted.KEY, "server.key")
    )
    assert msgspec.json.encode(masked({"a": planted.KEY})).count(MARK.encode()) == 6


@pytest.mark.parametrize("kind", [*TYPES.values(), Subtask, Finding, Failure, Report], ids=lambda kind: kind.__name__)
def test_no_field_of_a_message_that_may_hold_a_text_is_passed_over(kind: type[Struct]) -> None:
    hints = get_type_hints(kind)
    texts = {name for name, hint in hints.items() if re.search(r"\bstr\b|\bAny\b", str(hint)) and not name.startswith("__")}
    assert texts <= {*values._fields(kind)[0], *values._KEPT}


_WORDS = "Grand-Operavorstellung"
_TEXTS = st.sampled_from(
    [
        _WORDS,
        f"It was {_WORDS}.",
        "",
        "It is so.",
        f"password: {PASSWORD}",
        f"It was {PASSWORD} then.",
        "see https://example.org/a?b=2",
    ]
)
_VALUES = st.recursive(
    st.none() | st.integers(0, 2) | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(_TEXTS, inner, max_size=3)
        | st.lists(_TEXTS, max_size=2).map(lambda texts: Report(text="".join(texts), gaps=tuple(texts)))
        | st.builds(
            lambda text, source: Passage(source=source, text=text, locator=Locator()), _TEXTS, st.sampled_from(["a.md", "a.py"])
        )
    ),
    max_leaves=8,
)


@given(_VALUES, st.booleans())
def test_texts_that_are_looked_at_all_at_once_are_masked_as_each_by_itself(value: Any, known: bool) -> None:
    with remembering():
        learn([PASSWORD, _WORDS] if known else [])
        each = values.changed(value, masked_text)
    with remembering():
        learn([PASSWORD, _WORDS] if known else [])
        assert masked(value) == each


def test_a_wide_plan_without_secrets_is_looked_through_once() -> None:
    plan = Plan(subtasks=tuple(Subtask(id=f"s{n}", kind="echo", objective=f"echo {n}") for n in range(2_000)))

    def least(work: Callable[[], object]) -> float:
        def once() -> float:
            start = time.process_time()
            work()
            return time.process_time() - start

        return min(once() for _ in range(9))

    # It would be twice that, or half as much again as it takes to do nothing to each.
    assert least(lambda: masked(plan)) < least(lambda: values.changed(plan, lambda text, _: text))
