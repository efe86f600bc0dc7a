"""pyproject.toml (standard, dependency groups and Poetry), requirements files, setup.cfg, and METADATA of what is installed."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from concertino.code.manifests.declared import Declared, Lines
from concertino.code.manifests.shape import mapping, strings
from concertino.code.pieces import LONGEST_LINE

_EXACT = re.compile(r"={2,3}\s*[^*,]+")
_NAME = re.compile(r"^\s*[\w.-]+\s*(\[[^\]]*\])?")
_EXTRA = re.compile(r";.*\bextra\s*==\s*[\"']([^\"']+)[\"']")
_OPTION = re.compile(r"\s(--hash|--config-settings|--global-option)[= ].*$")


def pyproject(text: str) -> Iterator[Declared]:
    data = tomllib.loads(text)
    project = mapping(data.get("project"))
    lines = Lines(text)
    lines.section("[project]")
    yield from _all(strings(project.get("dependencies")), "", lines)
    lines.section("[project.optional-dependencies]", "[project]")
    for group, needs in mapping(project.get("optional-dependencies")).items():
        yield from _all(strings(needs), group, lines)
    lines.section("[dependency-groups]")
    for group, needs in mapping(data.get("dependency-groups")).items():
        yield from _all(strings(needs), group, lines)
    lines.section("[build-system]")
    yield from _all(strings(mapping(data.get("build-system")).get("requires")), "build", lines)
    yield from _poetry(mapping(mapping(data.get("tool")).get("poetry")), lines)


def _poetry(poetry: Mapping[str, Any], lines: Lines) -> Iterator[Declared]:
    groups = {"": poetry.get("dependencies"), "dev": poetry.get("dev-dependencies")}
    groups |= {name: mapping(group).get("dependencies") for name, group in mapping(poetry.get("group")).items()}
    headers = {"": "[tool.poetry.dependencies]", "dev": "[tool.poetry.dev-dependencies]"}
    for group, needs in groups.items():
        lines.section(f"[tool.poetry.group.{group}.dependencies]", headers.get(group, "[tool.poetry"))
        for name, wanted in mapping(needs).items():
            constraint = wanted if isinstance(wanted, str) else str(mapping(wanted).get("version", ""))
            if name.lower() != "python":
                yield Declared(
                    name, constraint, re.fullmatch(r"={0,2}\d[\w.+!-]*", constraint) is not None, group, lines.find(name)
                )


def requirements(text: str) -> Iterator[Declared]:
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        first = number + 1
        whole = lines[number]
        while whole.endswith("\\") and number + 1 < len(lines):
            number += 1
            whole = whole[:-1] + lines[number]
        number += 1
        asked = _OPTION.sub("", re.sub(r"(^|\s)#.*$", "", whole)).strip()
        if asked and not asked.startswith("-") and (declared := _requirement(asked, "", first)):
            yield declared


def metadata(text: str) -> Iterator[Declared]:
    """The group is the extra that a dependency belongs to."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            return  # what follows is the description
        if line.startswith("Requires-Dist:") and len(line) <= LONGEST_LINE:
            asked = line.partition(":")[2].strip()
            extra = _EXTRA.search(asked)
            if declared := _requirement(asked, extra[1] if extra else "", number):
                yield declared


def setup_cfg(text: str) -> Iterator[Declared]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as e:
        raise ValueError(str(e).replace("\n", " ")) from e
    lines = Lines(text)
    lines.section("install_requires")
    yield from _all(parser.get("options", "install_requires", fallback="").split("\n"), "", lines)
    if parser.has_section("options.extras_require"):
        lines.section("[options.extras_require]")
        for group, needs in parser.items("options.extras_require"):
            yield from _all(needs.split("\n"), group, lines)


def _all(wanted: list[str], group: str, lines: Lines) -> Iterator[Declared]:
    for asked in wanted:
        if asked.strip() and (declared := _requirement(asked.strip(), group, lines.find(asked.strip().replace('"', '\\"')))):
            yield declared


def _requirement(asked: str, group: str, line: int) -> Declared | None:
    try:
        requirement = Requirement(asked)
    except InvalidRequirement:
        return None  # a path, a URL without a name, or what only one tool understands: no dependency by name
    constraint = requirement.url or _NAME.sub("", asked.partition(";")[0]).strip(" ()")
    return Declared(requirement.name, constraint, _EXACT.fullmatch(constraint) is not None, group, line)
