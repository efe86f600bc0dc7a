"""OpenAPI 3 and Swagger 2, in YAML or JSON: an operation is a passage, and so is a schema, with the lines that define it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import yaml

from concertino.contracts.errors import SourceError
from concertino.contracts.messages import Locator, Passage
from concertino.documents.readers.text import text_of
from concertino.retrieval.roles import Role, role_of

MOST_LINES = 80
"""In one passage: a longer operation is cut, under one title."""

MOST_DEPTH = 100
"""The parser behind PyYAML recurses on the stack of C: documents nested deep enough would end the process."""

MOST_NODES = 2_000_000
"""Each costs about half a kilobyte. The largest published documents hold some 800,000."""

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"})
_PATHS = frozenset({"paths", "webhooks"})
_SHARED = frozenset({"definitions", "parameters", "responses", "securityDefinitions"})
"""Where Swagger 2 keeps what OpenAPI 3 keeps under ``components``."""

_SAYS_SO = re.compile(r"""(?:^|[{,\n])[ \t]*["']?(?:openapi|swagger)["']?[ \t]*:[ \t]*["']?[23]\b""")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_COMMENT = re.compile(r"[ \t]*(#.*)?")
_REST = re.compile(r"[ \t]*,?[ \t]*(#.*)?")

Pair = tuple[yaml.Node, yaml.Node]


def read(source: str, data: bytes) -> list[Passage]:
    """Operations, schemas and the rest of the document, in order; none where it is other YAML or JSON.

    The locator is lines, or a JSON pointer where one line holds several things. :class:`SourceError` where the document
    says that it is OpenAPI and cannot be parsed.
    """
    text = text_of(data)
    if not _SAYS_SO.search(text):
        return []
    root = _composed(text)
    if not isinstance(root, yaml.MappingNode) or {"openapi", "swagger"}.isdisjoint(_name(key) for key, _ in root.value):
        return []
    lines = text.split("\n")
    role: Role = "definition" if role_of(source) in {"text", "data"} else role_of(source)
    made: list[Passage] = []
    for title, pointer, pair in _parts(root):
        for locator, literal in _literal(pair, pointer, lines, text):
            made.append(Passage(source=source, text=literal, locator=locator, title=title, role=role))
    return made


def _composed(text: str) -> yaml.Node | None:
    """The tree of nodes, each of which knows where it stands. JSON is YAML, but for characters written as two halves."""
    if text.lstrip()[:1] == "{":
        text = _SURROGATE.sub(r"\\ufffd", text)
    try:
        _bound(text)
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError) as e:
        reason = " ".join(str(e).split())[:160]
        raise SourceError(f"it is a broken OpenAPI document ({reason}): check it with a linter for OpenAPI") from e


def _bound(text: str) -> None:
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        nodes += isinstance(event, yaml.NodeEvent)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            raise SourceError(f"it is nested over {MOST_DEPTH} deep: it is no OpenAPI document that anything could use")
        if nodes > MOST_NODES:
            raise SourceError(f"it holds over {MOST_NODES} values: split it")


def _parts(root: yaml.MappingNode) -> Iterator[tuple[str, str, Pair]]:
    """Title, JSON pointer and nodes of everything that is worth a passage."""
    for key, value in root.value:
        name, pointer = _name(key), _pointer("", key)
        if name in _PATHS and isinstance(value, yaml.MappingNode):
            yield from _operations(value, pointer)
        elif name == "components" and isinstance(value, yaml.MappingNode):
            for section, members in value.value:
                yield from _members(section, members, _pointer(pointer, section))
        elif name in _SHARED:
            yield from _members(key, value, pointer)
        else:
            yield name, pointer, (key, value)


def _operations(paths: yaml.MappingNode, above: str) -> Iterator[tuple[str, str, Pair]]:
    for key, item in paths.value:
        pointer, path = _pointer(above, key), _name(key)
        if not isinstance(item, yaml.MappingNode):
            yield path, pointer, (key, item)
            continue
        for method, operation in item.value:
            title = f"{path} {_name(method)}"
            if _name(method) in _METHODS:
                label = _field(operation, "operationId") or _field(operation, "summary")
                title = f"{_name(method).upper()} {path}" + (f" — {label}" if label else "")
            yield title, _pointer(pointer, method), (method, operation)


def _members(section: yaml.Node, members: yaml.Node, above: str) -> Iterator[tuple[str, str, Pair]]:
    if not isinstance(members, yaml.MappingNode):
        yield _name(section), above, (section, members)
        return
    for key, value in members.value:
        yield f"{_name(section)} > {_name(key)}", _pointer(above, key), (key, value)


def _literal(pair: Pair, pointer: str, lines: list[str], text: str) -> Iterator[tuple[Locator, str]]:
    key, value = pair
    first, start = key.start_mark.line, key.start_mark.column
    last, end = value.end_mark.line, value.end_mark.column
    if value.start_mark.index < key.start_mark.index:  # an alias: what it stands for is elsewhere
        last, end = first, len(lines[first])
    if not lines[last][:end].strip():  # a block ends where the next thing begins
        last, end = last - 1, len(lines[last - 1])
    while last > first and _COMMENT.fullmatch(lines[last]) and _indent(lines[last]) <= start:
        last, end = last - 1, len(lines[last - 1])
    if lines[first][:start].strip() or not _REST.fullmatch(lines[last][end:]):
        yield Locator(fragment=f"#{pointer}"), _slice(text, key, value)
        return
    for a in range(first, last + 1, MOST_LINES):
        b = min(a + MOST_LINES, last + 1)
        yield Locator(lines=(a + 1, b)), "\n".join(lines[a:b])


def _slice(text: str, key: yaml.Node, value: yaml.Node) -> str:
    """The characters of a value that shares its lines with others; JSON is set out in lines."""
    literal = text[value.start_mark.index : value.end_mark.index]
    try:
        literal = msgspec.json.format(literal, indent=2)
    except msgspec.DecodeError:
        literal = literal.strip()
    return f"{_name(key)}: {literal}"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) if line.strip() else 0


def _name(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else "?"


def _pointer(above: str, key: yaml.Node) -> str:
    return f"{above}/{_name(key).replace('~', '~0').replace('/', '~1')}"


def _field(node: yaml.Node, name: str) -> str:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if _name(key) == name and isinstance(value, yaml.ScalarNode):
                return " ".join(value.value.split())
    return ""
