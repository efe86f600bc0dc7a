"""What part a file plays in its source, judged by its path alone: tests and changelogs rank below what they are about."""

from __future__ import annotations

import re
from typing import Literal

Role = Literal["text", "definition", "test", "changelog", "example", "generated", "data"]

_TEST_FOLDERS = frozenset({"test", "tests", "spec", "specs", "__tests__", "testdata", "e2e"})
_TEST_FOLDERS_AT_TOP = frozenset({"testing", "t", "testsuite", "fixtures", "integration", "functional", "acceptance"})
"""Folders that hold tests in some projects and are a module or a topic in others: believed at the top of a source only."""
_TEST_NAME = re.compile(
    r"tests?[_.-].*|conftest\.py|.*[_.-](test|tests|spec)\.\w+|.*[a-z0-9]Tests?\.(java|kt|cs|scala|swift|php)"
)
_CHANGELOG_FOLDERS = frozenset(
    {"changelog", "changelogs", "newsfragments", "releases", "whatsnew", "release-notes", "release_notes"}
)
_CHANGELOG_NAME = re.compile(
    r"(change(s|log)|history|news|release[_-]?notes?|releases|what(s|[_-]s)[_-]?new)([_.-].*)?",
    re.IGNORECASE,
)
_EXAMPLE_FOLDERS = frozenset({"example", "examples", "sample", "samples", "demo", "demos", "benchmarks", "bench"})
_GENERATED = re.compile(r".*(_pb2(_grpc)?\.pyi?|\.pb\.go|\.generated\.\w+|_generated\.\w+|\.designer\.cs)", re.IGNORECASE)
_DATA = frozenset({"csv", "tsv", "jsonl", "ndjson", "json", "sql", "svg", "po", "pot", "xml"})
_PROSE = frozenset({"", "md", "mdx", "markdown", "rst", "txt", "adoc", "asciidoc", "html", "htm", "org"})


def role_of(path: str) -> Role:
    """The role of a file. ``path`` is relative to its source, with forward slashes."""
    *folders, name = path.split("/")
    lower = [f.lower() for f in folders]
    suffix = name.rpartition(".")[2].lower() if "." in name[1:] else ""
    if _GENERATED.fullmatch(name):
        return "generated"
    if suffix in _PROSE:
        if _CHANGELOG_NAME.fullmatch(name) or not _CHANGELOG_FOLDERS.isdisjoint(lower):
            return "changelog"
        return "test" if _in_tests(lower) else "text"
    if _in_tests(lower) or _TEST_NAME.fullmatch(name):
        return "test"
    if suffix in _DATA:
        return "data"
    return "text" if _EXAMPLE_FOLDERS.isdisjoint(lower) else "example"


def _in_tests(folders: list[str]) -> bool:
    return not _TEST_FOLDERS.isdisjoint(folders) or (bool(folders) and folders[0] in _TEST_FOLDERS_AT_TOP)
