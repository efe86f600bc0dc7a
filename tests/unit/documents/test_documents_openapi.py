from __future__ import annotations

import json

import pytest

from concertino.contracts.errors import SourceError
from concertino.documents.readers import openapi

YAML = """\
openapi: 3.0.3
info:
  title: Pets
paths:
  /pets/{id}:
    parameters:
      - name: id
        in: path
    get:
      operationId: showPet
      description: |
        One pet.

        By its id.

    # how to get rid of one
    delete:
      summary: Remove a pet
components:
  schemas:
    Pet:
      type: object
      required: [id]
"""


def test_operations_and_schemas_are_literal_lines() -> None:
    lines = YAML.split("\n")
    found = {p.title: p for p in openapi.read("api/pets.yaml", YAML.encode())}
    assert list(found) == [
        "openapi",
        "info",
        "/pets/{id} parameters",
        "GET /pets/{id} — showPet",
        "DELETE /pets/{id} — Remove a pet",
        "schemas > Pet",
    ]
    for passage in found.values():
        assert passage.locator.lines
        a, b = passage.locator.lines
        assert passage.text == "\n".join(lines[a - 1 : b])
        assert passage.role == "definition"
    assert found["GET /pets/{id} — showPet"].locator.lines == (9, 14)
    assert found["DELETE /pets/{id} — Remove a pet"].locator.lines == (17, 18)
    assert found["schemas > Pet"].locator.lines == (21, 23)


DOCUMENT = {
    "swagger": "2.0",
    "paths": {"/a": {"get": {"operationId": "getA", "summary": "slash / and \U0001f600"}, "post": {"operationId": "addA"}}},
    "definitions": {"A": {"type": "object"}},
}


@pytest.mark.parametrize("indent", [2, "\t"])
def test_json_is_lines_too(indent: int | str) -> None:
    text = json.dumps(DOCUMENT, indent=indent)
    found = {p.title: p for p in openapi.read("swagger.json", text.encode())}
    operation = found["GET /a — getA"]
    assert operation.locator.lines == (5, 8)
    assert operation.text == "\n".join(text.split("\n")[4:8])
    assert found["definitions > A"].locator.lines == (15, 17)


def test_json_on_one_line_is_located_by_pointer() -> None:
    found = {p.title: p for p in openapi.read("min.json", json.dumps(DOCUMENT, separators=(",", ":")).encode())}
    operation = found["POST /a — addA"]
    assert operation.locator.fragment == "#/paths/~1a/post"
    assert operation.text == 'post: {\n  "operationId": "addA"\n}'


def test_a_long_operation_is_cut_under_one_title() -> None:
    listed = "\n".join(f"        - name: p{i}" for i in range(200))
    text = f"openapi: 3.1.0\npaths:\n  /a:\n    get:\n      parameters:\n{listed}\n"
    found = [p for p in openapi.read("a.yaml", text.encode()) if p.title == "GET /a"]
    assert [p.locator.lines for p in found] == [(4, 83), (84, 163), (164, 205)]


def test_an_alias_does_not_stretch_over_what_lies_between() -> None:
    text = "openapi: 3.0.0\nx-item: &item\n  get:\n    summary: shared\npaths:\n  /a: {}\n  /b: *item\n  /c:\n    put: *item\n"
    found = openapi.read("a.yaml", text.encode())
    assert all(p.locator.lines and p.locator.lines[0] <= p.locator.lines[1] for p in found)
    assert ("GET /b — shared", (3, 4)) in [(p.title, p.locator.lines) for p in found]
    assert ("PUT /c", (9, 9), "    put: *item") in [(p.title, p.locator.lines, p.text) for p in found]


@pytest.mark.parametrize(
    "text", ["a: 1\n", "- openapi\n", '{"name": "openapi", "version": "3"}', "[1, 2]", "info:\n  openapi: 3.0.0\n"]
)
def test_other_yaml_and_json_is_left_out(text: str) -> None:
    assert openapi.read("x.yaml", text.encode()) == []


@pytest.mark.parametrize("nested", ["[" * 200_000, "{a: " * 50_000, "[" * 150 + "]" * 150])
def test_deep_nesting_is_refused_and_does_not_end_the_process(nested: str) -> None:
    with pytest.raises(SourceError, match="nested over 100 deep"):
        openapi.read("deep.yaml", f"openapi: 3.0.0\nx: {nested}".encode())


def test_an_alias_bomb_stays_small() -> None:
    laughs = "".join(f"x-l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 30))
    found = openapi.read("bomb.yaml", f"openapi: 3.0.0\nx-l0: &l0 [lol]\n{laughs}paths:\n  /a: *l29\n".encode())
    assert sum(len(p.text) for p in found) < 10_000


def test_broken_ones_say_what_to_do() -> None:
    with pytest.raises(SourceError, match="linter"):
        openapi.read("b.yaml", b"openapi: 3.0.0\npaths: [unclosed\nx: : :")
