"""The users of an installation, as the server reads them and as the chart fills them in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from concertino.contracts.errors import BadSetting
from concertino.contracts.subjects import Subjects
from concertino.runtime.users import block, main, template

NKEY = "U" + "A" * 55
CHART = Path(__file__).parent.parent.parent.parent / "helm" / "concertino" / "permissions.json"


def read(text: str) -> dict[str, Any]:
    """The server's configuration as JSON: variables stand without quotes there."""
    found: dict[str, Any] = json.loads(re.sub(r"(?<=: )(\$\w+)(?=[,\n])", r'"\1"', text.partition(": ")[2]))
    return found


def filled(kinds: tuple[str, ...], prefix: str) -> dict[str, Any]:
    """The chart's data with its placeholders filled in: whatever names a kind once for each."""
    data = json.loads(CHART.read_text())

    def each(items: Any) -> list[tuple[Any, str]]:
        return [(item, kind) for item in items for kind in (kinds if "{kind}" in json.dumps(item) else kinds[:1])]

    def fill(node: Any, kind: str) -> Any:
        text = json.dumps(node).replace("{prefix}", prefix).replace("{PREFIX}", prefix.upper()).replace("{kind}", kind)
        return json.loads(text)

    found: dict[str, Any] = {}
    for name, own in each(data["accounts"]):
        account = {key: each(value) if isinstance(value, list) else value for key, value in data["accounts"][name].items()}
        several = "{kind}" in name
        found[fill(name, own)] = {
            key: [fill(item, own if several else kind) for item, kind in value if not several or kind in (own, kinds[0])]
            if isinstance(value, list)
            else value
            for key, value in account.items()
        }
    for name, role in data["roles"].items():
        for kind in kinds if name == "worker" else kinds[:1]:
            user = fill(role, kind)
            found[user.pop("account")].setdefault("users", []).append(user)
    return found


def as_sets(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: {json.dumps(i, sort_keys=True) for i in v} if isinstance(v, list) else v for key, v in account.items()}
        for name, account in found.items()
    }


def test_the_chart_s_data_is_what_the_code_says() -> None:
    assert CHART.read_text() == template() + "\n"


def test_filled_in_it_is_what_the_command_prints() -> None:
    printed = read(block(Subjects("prod"), ["web", "legal"], {}))
    for account in printed.values():
        for user in account.get("users", []):
            del user["password"]

    assert as_sets(filled(("web", "legal"), "prod")) == as_sets(printed)


def test_passwords_are_of_the_server_s_environment_and_an_nkey_needs_none() -> None:
    printed = read(block(Subjects(), ["my-kind"], {"ctn-client": NKEY}))

    [client] = printed["CTN_client"]["users"]
    assert client["nkey"] == NKEY
    assert "password" not in client
    [worker] = printed["CTN_my-kind"]["users"]
    assert (worker["user"], worker["password"]) == ("ctn-worker-my-kind", "$CTN_NATS_PASSWORD_CTN_WORKER_MY_KIND")


@pytest.mark.parametrize(
    ("kinds", "nkeys", "why"),
    [
        (["plan"], {}, "another role's name"),
        (["client"], {}, "another role's name"),
        (["synthesize"], {}, "another role's name"),
        (["Web"], {}, "no kind"),
        (["a.b"], {}, "no kind"),
        (["a-b", "a_b"], {}, "one password"),
        (["web"], {"nobody": NKEY}, "no user nobody"),
    ],
)
def test_what_cannot_be_is_refused(kinds: list[str], nkeys: dict[str, str], why: str) -> None:
    with pytest.raises(BadSetting, match=why):
        block(Subjects(), kinds, nkeys)


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTN_PREFIX", "mine")
    assert main(["--kinds", "web", "--nkey", f"mine-client={NKEY}"]) == 0
    assert '"user": "mine-worker-web"' in capsys.readouterr().out
    assert main(["--kinds", "web", "--nkey", "mine-client=SUAB"]) == 1
    told = capsys.readouterr()
    assert "no public NKey" in told.err
    assert "SUAB" not in told.err
