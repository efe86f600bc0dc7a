"""Dependencies: what may change, what is known to be weak, what nobody keeps; and nothing about what is in order."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from code_repositories import Files
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from concertino.code.base import Base
from concertino.code.checks import advisories, dependencies
from concertino.code.checks.advisories import against
from concertino.code.checks.dependencies import SHORT_LIST, bound_of
from concertino.code.manifests import MOST_DECLARED
from concertino.contracts.messages import Passage

Make = Callable[[Files], Base]
DATA = tomllib.loads(Path(advisories.__file__).with_name("advisories.toml").read_text())


def places(passages: tuple[Passage, ...]) -> list[tuple[str, str]]:
    return [(p.source, p.text.strip()) for p in passages]


def test_what_is_in_order_is_not_spoken_of(base: Make) -> None:
    checked = dependencies.check(
        base(
            {
                "pyproject.toml": '[project]\ndependencies = ["httpx>=0.27,<1", "requests~=2.32.4"]\n'
                '[project.optional-dependencies]\ntest = ["pytest"]\n',
                "go.mod": "module x\n\nrequire golang.org/x/net v0.40.0\n",
                "package.json": '{"dependencies": {"lodash": "^4.17.0"}}',
            }
        )
    )
    assert checked.found == ()
    assert checked.left_out == (SHORT_LIST,)
    assert checked.looked_at == "3 manifests"


def test_no_version_and_no_upper_bound_weigh_more_where_they_are_installed(base: Make) -> None:
    library = dependencies.check(base({"pyproject.toml": '[project]\ndependencies = ["one", "two>=2", "three<4"]\n'})).found
    assert [(o.severity, o.claim) for o in library] == [
        ("low", "`pyproject.toml` names no version at all for 1 of 3 dependencies: `one`."),
        ("info", "`pyproject.toml` names a lowest version only for 1 of 3 dependencies: `two`."),
    ]
    assert places(library[0].passages) == [("pyproject.toml", 'dependencies = ["one", "two>=2", "three<4"]')]
    application = dependencies.check(base({"requirements.txt": "one\ntwo>=2\nthree<4\n"})).found
    assert [(o.severity, places(o.passages)) for o in application] == [
        ("medium", [("requirements.txt", "one")]),
        ("low", [("requirements.txt", "two>=2")]),
    ]


@pytest.mark.parametrize(
    ("manifest", "text", "severity", "said", "advice"),
    [
        ("requirements.txt", "PyYAML==5.3.1\n", "critical", "`PyYAML` 5.3.1, which looks vulnerable (CVE-2020-14343", "5.4"),
        ("requirements.txt", "urllib3<1.26\n", "medium", "allows only weak releases of `urllib3` <1.26", "1.26.19"),
        ("requirements-dev.txt", "h11==0.14.0\n", "critical", "pins `h11` 0.14.0", "0.16.0"),
        ("package.json", '{"dependencies": {"minimist": "1.2.5"}}', "critical", "`minimist` 1.2.5", "1.2.6"),
        ("go.mod", "module x\nrequire golang.org/x/crypto v0.30.0\n", "critical", "`golang.org/x/crypto` 0.30.0", "0.31.0"),
        ("requirements.txt", "pycrypto==2.6.1\n", "critical", "`pycrypto` 2.6.1", "another package"),
        ("pyproject.toml", '[dependency-groups]\ndev = ["h11==0.14.0"]\n', "high", "`h11` 0.14.0", "0.16.0"),
    ],
)
def test_known_weaknesses(base: Make, manifest: str, text: str, severity: str, said: str, advice: str) -> None:
    worst = dependencies.check(base({manifest: text})).found[0]
    assert worst.severity == severity
    assert said in worst.claim
    assert advice in worst.advice
    assert worst.passages[0].source == manifest


@pytest.mark.parametrize("text", ["urllib3==2.5.0", "urllib3<3", "urllib3>=1.20", "urllib3==1.26.*", "urllib3==not.a.version"])
def test_what_may_be_mended_is_not_called_vulnerable(base: Make, text: str) -> None:
    assert not any("vulnerable" in o.claim for o in dependencies.check(base({"requirements.txt": text})).found)


def test_elsewhere_than_the_registry(base: Make) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    found = dependencies.check(
        base({"requirements.txt": f"a @ git+https://example.org/a@main\nb @ git+https://example.org/b@{commit}\n"})
    ).found
    assert [(o.severity, places(o.passages)) for o in found] == [
        ("medium", [("requirements.txt", "a @ git+https://example.org/a@main")])
    ]


def test_abandoned(base: Make) -> None:
    found = dependencies.check(base({"package.json": '{"dependencies": {"request": "^2.88.0"}}'})).found
    assert [(o.severity, o.advice) for o in found] == [("low", "Move to fetch, or undici.")]


def test_pins_without_hashes(base: Make) -> None:
    pins = "a==1\nb==2\nc==3\n"
    assert "gives the hash of none" in dependencies.check(base({"requirements.txt": pins})).found[0].claim
    hashed = pins.replace("a==1", "a==1 --hash=sha256:00")
    assert dependencies.check(base({"requirements.txt": hashed})).found == ()


def test_copies_of_others(base: Make) -> None:
    listing = {"app/_vendor/vendor.txt": "requests==2.31.0\n    idna==3.4\nsetuptools==68.0.0\n"}
    found = dependencies.check(base(listing)).found
    assert len(found) == 1
    assert "`requests` 2.31.0 (CVE-2024-35195, CVE-2024-47081), `idna` 3.4 (CVE-2024-3651)" in found[0].claim
    assert "setuptools" not in found[0].claim  # the module that is weak is not among the copies
    there = dependencies.check(base(listing | {"app/_vendor/setuptools/package_index.py": ""})).found
    assert "`setuptools` 68.0.0" in there[0].claim


def test_tests_examples_and_manifests_of_copies_do_not_count(base: Make) -> None:
    files = {f"{folder}/requirements.txt": "one\n" for folder in ("tests", "examples", "vendor")}
    checked = dependencies.check(base(files))
    assert checked.found == ()
    assert checked.left_out == (SHORT_LIST, "there is no manifest that could be read")


def test_what_cannot_be_read_is_named(base: Make) -> None:
    many = "\n".join(f"p{number}==1" for number in range(MOST_DECLARED + 1))
    checked = dependencies.check(base({"package.json": "{", "requirements.txt": many}))
    assert any("package.json cannot be parsed" in reason for reason in checked.left_out)
    assert any("no more than 2,000 entries" in reason for reason in checked.left_out)


@pytest.mark.parametrize(
    ("ecosystem", "constraint", "bound"),
    [
        *(("pypi", c, "exact") for c in ("==1.2", "===1.2", "==1.2,>1")),
        *(("pypi", c, "bounded") for c in ("<2", ">=1,<2", "~=1.4", "==1.*", "^1.2", "~1.2")),
        *(("pypi", c, "lower") for c in (">=1", ">1", "!=1.5")),
        *(("pypi", c, "none") for c in ("", "*")),
        ("pypi", "git+https://example.org/x", "elsewhere"),
        *(("npm", c, "elsewhere") for c in ("github:a/b", "a/b", "https://example.org/x.tgz", "git+ssh://git@x/y")),
        *(("npm", c, "none") for c in ("*", "latest", "")),
        *(("npm", c, "bounded") for c in ("^1.2.3", "~1.2", "1.x", ">=1 <2")),
        *(("npm", c, "exact") for c in ("1.2.3", "=1.2.3")),
        ("npm", ">=1.2", "lower"),
        *(("cargo", c, b) for c, b in (("1.0", "bounded"), ("*", "none"), ("", "unknown"), (">=1", "lower"))),
        *(("maven", c, b) for c, b in (("1.0", "exact"), ("LATEST", "none"), ("${v}", "unknown"), ("[1,)", "lower"))),
        ("go", "v1.2.3", "exact"),
    ],
)
def test_bounds(ecosystem: advisories.Ecosystem, constraint: str, bound: str) -> None:
    assert bound_of(ecosystem, constraint) == bound


def test_the_list_is_well_formed() -> None:
    """Each fix is past what is affected, so that the advice leads out of it."""
    for row in DATA["advisory"]:
        assert row["id"].startswith(("CVE-", "GHSA-")), row
        assert row["severity"] in ("critical", "high", "medium", "low"), row
        for part in row["affected"].split("||"):
            assert not row["fixed"] or Version(row["fixed"]) not in SpecifierSet(part), row
        mended = against(row.get("ecosystem", "pypi"), row["package"], row["fixed"] or "x")
        assert row["id"] not in {hit.id for hit in mended}
    names = [(row.get("ecosystem", "pypi"), row["package"]) for row in DATA["advisory"] + DATA["abandoned"]]
    assert all(advisories.normal(ecosystem, name) == name for ecosystem, name in names)
