"""Secrets in the settings: where they come from, and that they go nowhere else."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from concertino.bus.access import Access
from concertino.contracts.errors import BadSetting
from concertino.runtime.config import load
from concertino.runtime.settings import Settings, settings


def test_a_secret_comes_from_its_variable_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hidden word\n")
    by_file = settings({"CTN_NATS_USER": "me", "CTN_NATS_PASSWORD_FILE": str(tmp_path / "password")})
    by_variable = settings({"CTN_NATS_USER": "me", "CTN_NATS_PASSWORD": "hidden word"})

    assert by_file == by_variable
    assert by_file.access("web").options() == {"user": "me", "password": "hidden word", "inbox_prefix": "_INBOX_ctn.web"}
    assert settings({"CTN_NATS_TOKEN": "t", "CTN_NATS_INBOX": "_INBOX.team"}).access("web").options() == {
        "token": "t",
        "inbox_prefix": "_INBOX.team",
    }


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    found = settings({"CTN_NATS_USER": "me", "CTN_NATS_PASSWORD": "hidden", "CTN_LOG_FORMAT": "json"})

    for shown in (repr(found), str(found), repr(found.access("web")), f"{found.nats_password}"):
        assert "hidden" not in shown
    assert "nats_password=***" in repr(found)
    assert "nats_password=none" in repr(Settings())


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"CTN_NATS_PASSWORD": "hidden", "CTN_NATS_PASSWORD_FILE": "x"}, "give one of them"),
        ({"CTN_NATS_PASSWORD_FILE": "/nowhere/hidden"}, "cannot be read"),
        ({"CTN_NATS_USER": "me", "CTN_NATS_TOKEN": "hidden"}, "user and token"),
        ({"CTN_NATS_CREDS": "c", "CTN_NATS_NKEY": "n"}, "nkey and creds"),
        ({"CTN_NATS_PASSWORD": "hidden"}, "CTN_NATS_USER"),
        ({"CTN_NATS_NKEY": "/nowhere"}, "the NKey /nowhere cannot be read"),
        ({"CTN_NATS_CA": "/nowhere"}, "/nowhere cannot be used"),
        ({"CTN_NATS_CERT": "/nowhere"}, "CTN_NATS_CERT and CTN_NATS_KEY"),
        ({"CTN_NATS_INBOX": "_INBOX.>"}, "CTN_NATS_INBOX"),
        ({"CTN_PROVISION": "perhaps"}, "CTN_PROVISION"),
    ],
)
def test_what_contradicts_itself_or_is_not_there_is_named(environment: dict[str, str], why: str) -> None:
    with pytest.raises(BadSetting, match=why) as caught:
        settings(environment).access("web").options()
    assert "hidden" not in str(caught.value).replace("/nowhere/hidden", "")


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("CTN_LOG_LEVEL", "foo", "'foo' is none of its values: write debug, info, warning or error"),
        ("CTN_MAX_COST", "inf", "Expected `float` <= 1000000.0"),
        ("CTN_MAX_COST", "nan", "Expected `float` >= 0.0"),
        ("CTN_MODEL", "gpt", "'gpt' is none of its values: write auto, extractive or anthropic"),
        (
            "CTN_PREFIX",
            "My.Team",
            "'My.Team' is not what it has to be: a letter from a to z, then at most 15 of a to z, 0 to 9 and _",
        ),
        ("CTN_NATS_INBOX", "..", "'..' is not what it has to be: letters, digits, _ and -, in parts joined by dots"),
        ("CTN_NATS_TLS_NAME", "nats:4222", "'nats:4222' is not what it has to be: a server's name, without its port"),
        (
            "CTN_HEDGE",
            "web=soon",
            "'web=soon' is not what it has to be: auto, off or seconds (at least 1), for all kinds or some: auto,web=30",
        ),
        ("CTN_REPLICAS", "9", "Expected `int` <= 5"),
        ("CTN_CACHE_BYTES", "5Gi", "'5Gi' is not what it has to be: a whole number of bytes, 1048576 (1 MiB) or more"),
        ("CTN_CLONE_BYTES", "0", "'0' is not what it has to be: a whole number of bytes, 1048576 (1 MiB) or more"),
    ],
)
def test_a_wrong_value_is_told_what_would_be_right(variable: str, value: str, why: str) -> None:
    with pytest.raises(BadSetting) as caught:
        settings({variable: value})
    assert str(caught.value) == f"{variable}: {why}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "[models.a]\n[models.plan]\nmodle = 'x'",
            "[models.plan]: Object contains unknown field `modle`: it has model, effort, ",
        ),
        ("[prices.'a b']\ninput = -1\noutput = 1", "[prices.a b]: Expected `float` >= 0.0 - at `$.input`"),
        (
            "[prices.x]\ninput=1\noutput=1\nlong={over=1, more=2}",
            "[prices.x]: Object contains unknown field `more` - at `$.long`",
        ),
        ("[mcp.Tickets]\nurl = 'http://x'", "[mcp.Tickets]: a name is a letter from a to z, then "),
        ("[mcp.tickets]\nurl = 'tickets'", "[mcp.tickets]: its url begins with http:// or https://"),
        ("[modles.x]", "it has no section 'modles': there are [models.NAME], [prices.NAME], [mcp.NAME], [kinds.NAME]"),
        ("models = 3", "Expected `object`, got `int` - at `$.models`"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_table(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "concertino.toml"
    file.write_text(text)
    with pytest.raises(BadSetting) as caught:
        load(str(file))
    assert str(caught.value).startswith(f"CTN_CONFIG: {file}: {why}")


def test_a_file_of_the_wrong_kind_is_named_and_not_told_of(tmp_path: Path) -> None:
    (tmp_path / "junk").write_text("hidden")
    for given in ({"nkey": str(tmp_path / "junk")}, {"creds": str(tmp_path / "junk")}, {"ca": str(tmp_path / "junk")}):
        with pytest.raises(BadSetting, match="junk") as caught:
            Access(**given).options()
        assert "hidden" not in str(caught.value)


def test_tls_verifies_the_server_and_its_name() -> None:
    assert Access().tls() is None
    context = Access(ca=ssl.get_default_verify_paths().openssl_cafile).tls() if _has_certificates() else None
    assert context is None or (context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED)


def _has_certificates() -> bool:
    return Path(ssl.get_default_verify_paths().openssl_cafile).is_file()
