"""The page on traces names what there is, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from concertino.telemetry import export
from concertino.telemetry.logs import About
from concertino.telemetry.names import Attribute, Event, Field

PAGE = (Path(__file__).parents[2] / "docs" / "tracing.md").read_text()


def values(names: type) -> set[str]:
    return {value for name, value in vars(names).items() if not name.startswith("_")}


def test_every_attribute_is_there() -> None:
    written = set(re.findall(r"`((?:messaging|gen_ai|concertino|error)\.[a-z_.]+)`", PAGE)) - {
        "concertino.client",
        "concertino.contracts.errors",
    }
    assert written == values(Attribute)


def test_every_event_and_every_field_is_there() -> None:
    for name in values(Event) | {*About.__struct_fields__} | (values(Field) - {Field.SERVICE}):
        assert f"`{name}`" in PAGE


def test_every_variable_that_we_read_is_there() -> None:
    source = Path(export.__file__).read_text()
    read = set(re.findall(r'"(OTEL_[A-Z_]+[A-Z])"', source)) - {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"}
    assert read
    assert not {variable for variable in read if variable not in PAGE}
