from __future__ import annotations

import pytest

from concertino.code.manifests import is_manifest, parse

PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
[project]
dependencies = [
    "requests[socks] >=2, <3 ; python_version > '3'",
    "attrs==25.1.0",
    "attrs-strict",
]
[project.optional-dependencies]
dev = ["pytest"]
[dependency-groups]
lint = ["ruff~=0.9", {include-group = "dev"}]
[tool.poetry.dependencies]
python = "^3.11"
rich = "14.0.0"
textual = { version = "^1.0", optional = true }
"""
PACKAGE = """\
{
  "name": "left-pad",
  "dependencies": {
    "left-pad": "1.3.0",
    "react": "^19.0.0"
  },
  "devDependencies": { "jest": "*" }
}
"""
GO = """\
module example.org/a

go 1.24

require github.com/a/b v1.2.3
require (
	golang.org/x/net v0.30.0 // indirect
	github.com/c/d/v2 v2.0.0-beta // a remark
)
replace github.com/a/b => ../b
"""
CARGO = """\
[package]
name = "a"
[dependencies]
serde_json = "1"
serde = { version = "=1.0.200", features = ["derive"] }
[target.'cfg(unix)'.dependencies]
libc = "0.2"
[dev-dependencies]
serde = "1"
"""
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <dependencies>
    <dependency>
      <groupId>org.junit</groupId>
      <artifactId>junit</artifactId>
      <version>5.1.0</version>
      <scope>test</scope>
    </dependency>
    <dependency>
      <groupId>a</groupId><artifactId>b</artifactId><version>${b.version}</version>
      <exclusions><exclusion><artifactId>c</artifactId></exclusion></exclusions>
    </dependency>
  </dependencies>
</project>
"""
REQUIREMENTS = """\
# comment
-r base.txt
requests>=2  # why
flask==3.0.0 \\
    --hash=sha256:abc
git+https://example.org/x.git
./local
"""
SETUP = "[options]\ninstall_requires =\n    six\n    attrs>=20\n[options.extras_require]\ntest =\n    pytest==8.0\n"

Row = tuple[str, str, bool, str, int]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (
            "pyproject.toml",
            PYPROJECT,
            [
                ("requests", ">=2, <3", False, "", 5),
                ("attrs", "==25.1.0", True, "", 6),
                ("attrs-strict", "", False, "", 7),
                ("pytest", "", False, "dev", 10),
                ("ruff", "~=0.9", False, "lint", 12),
                ("hatchling", ">=1.27", False, "build", 2),
                ("rich", "14.0.0", True, "", 15),
                ("textual", "^1.0", False, "", 16),
            ],
        ),
        (
            "web/package.json",
            PACKAGE,
            [("left-pad", "1.3.0", True, "", 4), ("react", "^19.0.0", False, "", 5), ("jest", "*", False, "dev", 7)],
        ),
        (
            "go.mod",
            GO,
            [
                ("github.com/a/b", "v1.2.3", True, "", 5),
                ("golang.org/x/net", "v0.30.0", True, "indirect", 7),
                ("github.com/c/d/v2", "v2.0.0-beta", True, "", 8),
            ],
        ),
        (
            "Cargo.toml",
            CARGO,
            [
                ("serde_json", "1", False, "", 4),
                ("serde", "=1.0.200", True, "", 5),
                ("serde", "1", False, "dev", 9),
                ("libc", "0.2", False, "", 7),
            ],
        ),
        ("pom.xml", POM, [("org.junit:junit", "5.1.0", True, "test", 3), ("a:b", "${b.version}", False, "", 9)]),
        ("requirements-dev.txt", REQUIREMENTS, [("requests", ">=2", False, "", 3), ("flask", "==3.0.0", True, "", 4)]),
        (
            "setup.cfg",
            SETUP,
            [("six", "", False, "", 3), ("attrs", ">=20", False, "", 4), ("pytest", "==8.0", True, "test", 7)],
        ),
    ],
)
def test_what_a_manifest_declares(path: str, text: str, expected: list[Row]) -> None:
    assert is_manifest(path)
    assert [(d.name, d.constraint, d.pinned, d.group, d.line) for d in parse(path, text)] == expected


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "[project"),
        ("package.json", "{"),
        ("package.json", "[" * 100_000),
        ("pyproject.toml", "a = " + "[" * 100_000),
        ("setup.cfg", "no section\n"),
        ("pom.xml", "<a>"),
        ("pom.xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
        ("Cargo.toml", "=="),
    ],
)
def test_a_broken_manifest_says_so(path: str, text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "project = 1\n[tool]\npoetry = []\n"),
        ("package.json", '[{"dependencies": 1}]'),
        ("package.json", '{"dependencies": {"a": 1}}'),
        ("Cargo.toml", "dependencies = 3\n"),
        ("requirements.txt", "\\"),
    ],
)
def test_an_unexpected_shape_declares_nothing(path: str, text: str) -> None:
    assert parse(path, text) == []


def test_other_files_are_no_manifests() -> None:
    assert not any(map(is_manifest, ["a.toml", "README.txt", "src/package.jsonc", "requirements.py"]))
    assert all(map(is_manifest, ["requirements.txt", "dev-requirements.txt", "requirements/base.txt", "a/b/go.mod"]))
