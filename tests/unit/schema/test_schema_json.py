"""The JSON Schema says of messages what the decoder says."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec
import pytest
from jsonschema import Draft202012Validator

from concertino.contracts.codec import TYPES, decode, encode
from concertino.contracts.errors import InvalidMessage
from concertino.contracts.facts import Fact
from concertino.contracts.messages import Message
from concertino.contracts.schema import json_schema
from concertino.contracts.state import fold
from concertino.contracts.subjects import FactName
from concertino.contracts.view import view

Samples: TypeAlias = dict[str, Message]
SCHEMA = json_schema()


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert {ref["$ref"].rpartition("/")[2] for ref in SCHEMA["anyOf"]} == {type_.__name__ for type_ in TYPES.values()}


def test_samples_are_complete(full: Samples) -> None:
    assert set(full) == set(TYPES)
    for name, message in full.items():
        written = msgspec.json.decode(encode(message))
        assert set(written) == set(message.__struct_fields__), f"{name}: the sample leaves a field at its default"


@pytest.mark.parametrize("name", TYPES)
def test_own_encoding_is_valid(name: str, full: Samples) -> None:
    message = full[name]
    written = json.loads(encode(message))
    validator(type(message).__name__).validate(written)
    Draft202012Validator(SCHEMA).validate(written)
    validator(type(message).__name__).validate({**written, "field_of_a_later_release": 1})


@pytest.mark.parametrize("name", TYPES)
def test_schema_and_decoder_refuse_the_same(name: str, full: Samples) -> None:
    type_ = TYPES[name]
    written: dict[str, Any] = json.loads(encode(full[name]))
    check = validator(type_.__name__)
    for field in written:
        spoiled = json.dumps({**written, field: [[0]]}).encode()
        with pytest.raises(InvalidMessage):
            decode(type_, spoiled)
        assert not check.is_valid(json.loads(spoiled)), f"the schema lets a wrong {name}.{field} pass"
    for field in check.schema["$defs"][type_.__name__]["required"]:
        lacking = {key: value for key, value in written.items() if key != field}
        with pytest.raises(InvalidMessage):
            decode(type_, json.dumps(lacking).encode())
        assert not check.is_valid(lacking)


def test_the_json_of_a_task_is_valid(full: Samples) -> None:
    names = ("submitted", "plan.0", "result.code.s1", "synthesis.0", "outcome")
    facts = [
        Fact(FactName(*name.partition(".")[::2]), full[name.partition(".")[0]], number, float(number))
        for number, name in enumerate(names, 1)
    ]
    shown = json.loads(view(fold("t1", facts)).to_json())
    assert shown["report"]["citations"][0]["locator"] == {"lines": [12, 18]}
    validator("TaskView").validate(shown)
    del shown["usage"]["cost_usd"]
    assert not validator("TaskView").is_valid(shown)
