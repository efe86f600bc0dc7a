"""The AsyncAPI document: its structure as the specification (3.0.0) has it, and its truth against the subject grammar.

The whole document was validated once with the npm packages ``@asyncapi/specs`` (schema 3.0.0) and ``@asyncapi/parser``: no
finding. What is asserted here is what a change of ours could break.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from jsonschema import Draft7Validator

from concertino.bus.topology import FACTS, TIMERS
from concertino.contracts.codec import TYPES, encode
from concertino.contracts.messages import Message
from concertino.contracts.schema import asyncapi, channels
from concertino.contracts.subjects import Subjects

Samples: TypeAlias = dict[str, Message]
SUBJECTS = Subjects("abc")
DOCUMENT = asyncapi(SUBJECTS, "1.2.3", "bus.example.org:4222")


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def resolve(reference: str) -> Any:
    node: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_required_fields_and_known_keys() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT) <= {"asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components"}
    for server in DOCUMENT["servers"].values():
        assert {"host", "protocol"} <= set(server)
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
    for name in (*DOCUMENT["channels"], *DOCUMENT["operations"], *DOCUMENT["components"]["schemas"]):
        assert re.fullmatch(r"[\w.-]+", name)
    json.dumps(DOCUMENT, allow_nan=False)


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 50
    for reference in found:
        assert resolve(reference)


def test_operations_name_messages_of_their_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


def test_parameters_are_the_braces_of_the_address() -> None:
    for name, channel in DOCUMENT["channels"].items():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel.get("parameters", {})), name


def test_every_message_and_every_fact_has_its_channel() -> None:
    assert {channel.schema for channel in channels(SUBJECTS)} - {None} == set(TYPES)
    # A work's id has two tokens, or three where it is a subtask's.
    spelt = [c["address"].replace("{work}", work) for c in DOCUMENT["channels"].values() for work in ("*.*", "*.*.*")]
    addresses = {re.sub(r"{\w+}", "*", address) for address in spelt}
    assert {SUBJECTS.fact("*", fact) for fact in FACTS + TIMERS} <= addresses
    assert {SUBJECTS.work("*", "*"), SUBJECTS.signal("*"), SUBJECTS.progress("*", "*.*.*")} <= addresses


@pytest.mark.parametrize("name", TYPES)
def test_payloads_are_valid_in_the_dialect_of_the_document(name: str, full: Samples) -> None:
    payload = DOCUMENT["components"]["messages"][name]["payload"]
    check = Draft7Validator({**payload, "components": DOCUMENT["components"]})
    check.validate(json.loads(encode(full[name])))


def test_tuples_are_still_checked() -> None:
    locator = Draft7Validator({"$ref": "#/components/schemas/Locator", "components": DOCUMENT["components"]})
    assert locator.is_valid({"lines": [1, 2]})
    assert not locator.is_valid({"lines": [1, "2"]})
    assert not locator.is_valid({"lines": [1, 2, 3]})


def test_headers_of_facts_and_work() -> None:
    headers = {name: message.get("headers", {}) for name, message in DOCUMENT["components"]["messages"].items()}
    assert headers["result"]["properties"]["Nats-Expected-Last-Subject-Sequence"]["const"] == "0"
    assert headers["result"]["properties"]["Ctn-Schema"]["const"] == "result/1"
    assert "Nats-Expected-Last-Subject-Sequence" not in headers["progress"]["properties"]
    assert headers["work"]["required"] == ["Nats-Msg-Id"]
