"""Bytes to messages: what is read, what is refused, and in which words."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from concertino.contracts import messages as m
from concertino.contracts.codec import MAX_MESSAGE, TYPES, decode, encode, schema_of
from concertino.contracts.errors import Invalid, InvalidMessage, MessageTooLarge, UnknownSchema
from concertino.contracts.facts import Unreadable, failure, read_fact
from concertino.contracts.subjects import FactName, Header


def test_an_older_reader_reads_a_newer_message() -> None:
    newer = b'{"request": "What?", "mood": "curious", "limits": {"deadline": 60, "max_watts": 5}}'

    found = decode(m.Submitted, newer, "submitted/7")

    assert found == m.Submitted(request="What?", limits=m.Limits(deadline=60.0))


def test_defaults_are_left_out_and_read_back() -> None:
    assert encode(m.Submitted(request="What?")) == b'{"request":"What?"}'
    assert decode(m.Submitted, b'{"request":"What?"}') == m.Submitted(request="What?")


@pytest.mark.parametrize("type_", TYPES.values())
def test_the_schema_of_every_message_is_its_name_and_version(type_: type[m.Message]) -> None:
    name, version = schema_of(type_).split("/")
    assert (TYPES[name], version) == (type_, "1")


@pytest.mark.parametrize(
    ("type_", "data", "text"),
    [
        (m.Submitted, b"", "submitted: the message is empty"),
        (m.Submitted, b"{", "submitted: Input data was truncated"),
        (m.Submitted, b"hello", "submitted: JSON is malformed"),
        (m.Submitted, b"\xff\xfe", "submitted: JSON is malformed"),
        (m.Submitted, b'{"request": "\xff"}', "submitted: "),
        (m.Submitted, b"[1]", "submitted: Expected `object`, got `array`"),
        (m.Submitted, b"{}", "submitted: Object missing required field `request`"),
        (m.Submitted, b'{"request": 7}', "submitted: Expected `str`, got `int` - at `$.request`"),
        (m.Submitted, b'{"request": ""}', "submitted: Expected `str` of length >= 1 - at `$.request`"),
        (m.Submitted, b'{"request": " \\n\\t"}', "submitted: `request` is blank: say what you want to know"),
        (m.Submitted, b'{"request": "x", "limits": {"deadline": -1}}', "Expected `float` > 0.0 - at `$.limits.deadline`"),
        (m.Submitted, b'{"request": "x", "limits": {"max_rounds": 99}}', "Expected `int` <= 10 - at `$.limits.max_rounds`"),
        (m.Submitted, b'{"request": "x", "lane": "express"}', "Invalid enum value 'express' - at `$.lane`"),
        (m.Submitted, b'{"request": "x", "sources": [{"kind": "Web!"}]}', "at `$.sources[0]"),
        (m.Result, b'{"status": "splendid"}', "result: Invalid enum value 'splendid' - at `$.status`"),
        (m.Result, b"[" * 100_000, "result: "),
    ],
)
def test_what_cannot_be_read_is_refused_in_words_that_name_the_place(type_: type[m.Message], data: bytes, text: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        decode(type_, data)
    assert text in str(caught.value)


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
@pytest.mark.parametrize("limit", ["deadline", "max_cost", "max_queued"])
def test_a_limit_that_would_be_written_as_none_is_refused_wherever_it_is_made(limit: str, number: float) -> None:
    with pytest.raises(InvalidMessage, match=f"{limit} is {number}"):
        m.Limits(**{limit: number})
    with pytest.raises(InvalidMessage, match=f"{limit} is {number}"):
        structs.replace(m.Limits(), **{limit: number})
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({limit: number}, m.Limits)


@pytest.mark.parametrize("limit", ["max_seconds", "max_cost"])
def test_so_is_that_of_a_subtask(limit: str) -> None:
    with pytest.raises(InvalidMessage, match=f"{limit} is inf"):
        m.Subtask(id="s1", kind="code", objective="Look.", **{limit: float("inf")})


@pytest.mark.parametrize("schema", ["submitted/", "submitted/x", "result/1", "submitted", "", "x" * 5000])
def test_an_unknown_schema_is_refused_and_the_known_one_named(schema: str) -> None:
    with pytest.raises(UnknownSchema) as caught:
        decode(m.Submitted, b'{"request": "x"}', schema)
    assert "submitted/1 belongs here" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_is_huge_is_refused_before_it_is_read() -> None:
    with pytest.raises(MessageTooLarge):
        decode(m.Submitted, b" " * (MAX_MESSAGE * 64 + 1))
    with pytest.raises(Invalid):
        decode(m.Submitted, b'{"request": "%s"}' % (b"x" * 100_001))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plan.0", m.Planned),
        ("result.web.a", m.Result),
        ("synthesis.0", m.Synthesized),
        ("cancel", m.Cancel),
        ("dispatched.1", m.Dispatched),
        ("outcome", m.Outcome),
        ("submitted", Unreadable),
    ],
)
def test_a_fact_that_cannot_be_read_holds_its_place(name: str, expected: type) -> None:
    type_, _, about = name.partition(".")

    message = read_fact(FactName(type_, about), b"?", {}, 1, 0.0).message

    assert type(message) is expected
    if isinstance(message, m.Settled):
        assert message.status == m.ResultStatus.FAILED
        assert message.error
        assert message.error.code == "invalid_message"


def test_facts_of_a_newer_release_are_facts_and_say_nothing() -> None:
    assert read_fact(FactName("mood", "bright"), b"\x00", {Header.SCHEMA: "mood/7"}, 1, 0.0).message is None


def test_the_text_of_an_error_can_be_read() -> None:
    found = failure(RuntimeError("x" * 100_000))
    assert found.code == "bug"
    assert len(found.message) < 2_100
    assert found.message.startswith("RuntimeError: xxx")
    assert found.message.endswith("(100014 characters)")
