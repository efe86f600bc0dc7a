"""Dependencies that may change under one's hands, are known to be weak, or that nobody keeps any more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.parser import HeaderParser
from typing import Literal

from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from concertino.code import manifests
from concertino.code.base import Base
from concertino.code.checks.advisories import Advisory, Ecosystem, abandoned, against
from concertino.code.checks.shape import MOST_QUOTED, SEVERITIES, bounded, listed, part_of, passage, several, softened
from concertino.code.manifests import Declared
from concertino.contracts.messages import Passage, Severity
from concertino.model.observation import Checked, Observation

TOPIC = "dependencies"

SHORT_LIST = "weaknesses were looked up in a short list that comes with this, and in no live database"

Bound = Literal["exact", "bounded", "lower", "none", "elsewhere", "unknown"]
"""How far a constraint holds: one version, up to some version, from some version on, not at all, not from the registry."""

_ECOSYSTEMS: dict[str, Ecosystem] = {"package.json": "npm", "pom.xml": "maven", "go.mod": "go", "Cargo.toml": "cargo"}
_BESIDE = frozenset(
    {"dev", "test", "tests", "testing", "lint", "docs", "doc", "typing", "build", "style", "check", "ci", "bench"}
)
"""Groups of what only a developer needs."""
_WORTH_HASHING = 3
_COMMIT = re.compile(r"[@#][0-9a-f]{40}\b")
_NPM_ELSEWHERE = re.compile(r"(git|git\+\w+|https?|github|gitlab|bitbucket|file|link):|^[\w-]+/[\w.-]+(#|$)")
_HASHED = re.compile(r"--hash[= ]")


class Manifest(Struct, frozen=True):
    """One manifest, parsed."""

    path: str
    lines: Sequence[str]
    declared: Sequence[Declared]

    @property
    def ecosystem(self) -> Ecosystem:
        return _ECOSYSTEMS.get(self.path.rpartition("/")[2], "pypi")

    @property
    def is_application(self) -> bool:
        """Whether it says what is installed, rather than what a library can live with."""
        return re.search(r"(^|/)[^/]*(requirements|constraints)[^/]*\.(txt|in)$|/requirements/", f"/{self.path}") is not None


def check(base: Base) -> Checked:
    """Every manifest of the source."""
    found: list[Observation] = []
    unread: list[str] = []
    read = 0
    for path in sorted(filter(manifests.is_manifest, base.files)):
        if part_of(path) in ("test", "aside") or (part_of(path) == "vendored" and not manifests.is_vendored(path)):
            continue
        text = base.text(path)
        try:
            manifest = Manifest(path, text.split("\n"), manifests.parse(path, text))
        except ValueError as e:
            unread.append(f"{path} cannot be parsed: {e}")
            continue
        read += 1
        if len(manifest.declared) == manifests.MOST_DECLARED:
            unread.append(f"of a manifest no more than {manifests.MOST_DECLARED:,} entries were read")
        found.extend(observation for look in _LOOKS for observation in look(base, manifest))
    if not read and not unread:
        unread.append("there is no manifest that could be read")
    kept, more = bounded(found)
    return Checked(TOPIC, kept, several(read, "manifest") if read else "", (SHORT_LIST, *unread, *more))


def _weak(base: Base, manifest: Manifest) -> Iterator[Observation]:
    """Releases with known weaknesses: that it is, that it pins, that it does not get past."""
    if manifests.is_vendored(manifest.path):
        yield from _copies(base, manifest)
        return
    if manifests.is_metadata(manifest.path):
        yield from _itself(base, manifest)
    for declared in manifest.declared:
        version = _only(declared, manifest.ecosystem)
        hits = against(manifest.ecosystem, declared.name, version) if version else _inescapable(declared, manifest.ecosystem)
        if hits:
            verb = "pins" if version else "allows only weak releases of"
            said = f"`{manifest.path}` {verb} `{declared.name}` {version or declared.constraint}"
            severity = softened(hits[0].severity) if declared.group in _BESIDE else hits[0].severity
            yield _weakness(base, manifest, declared.line, said, hits, f"Move to {_fix(hits)}.", severity)


def _copies(base: Base, manifest: Manifest) -> Iterator[Observation]:
    """Weak releases whose code is shipped as the project's own: one finding, since one release of the project mends all."""
    weak = [
        (declared, version, hits)
        for declared in manifest.declared
        if (version := _only(declared, manifest.ecosystem))
        and (hits := [hit for hit in against("pypi", declared.name, version) if _is_there(base, manifest.path, hit)])
    ]
    if weak:
        hits = [hit for _, _, own in weak for hit in own]
        each = (f"`{declared.name}` {version} ({', '.join(hit.id for hit in own)})" for declared, version, own in weak)
        yield Observation(
            topic=TOPIC,
            claim=f"`{manifest.path}` names {several(len(weak), 'copy', 'copies')} that look vulnerable: {', '.join(each)}.",
            severity=min(hits, key=lambda hit: SEVERITIES.index(hit.severity)).severity,
            confidence=0.8,
            passages=_places(base, manifest, [declared for declared, _, _ in weak]),
            advice=f"Take a release that ships {', '.join(f'{declared.name} {_fix(own)}' for declared, _, own in weak)}.",
        )


def _is_there(base: Base, vendored: str, hit: Advisory) -> bool:
    """Whether the module that the weakness is in lies below the folder of the list ``vendored``, if it is in one alone."""
    folder = vendored.rpartition("/")[0]
    return not hit.module or any(p.startswith(f"{folder}/") and p.endswith(f"/{hit.module}.py") for p in base.files)


def _itself(base: Base, manifest: Manifest) -> Iterator[Observation]:
    headers = HeaderParser().parsestr("\n".join(manifest.lines[:200]))
    name, version = str(headers["Name"] or ""), str(headers["Version"] or "")
    if hits := against("pypi", name, version):
        line = next((n for n, text in enumerate(manifest.lines, 1) if text.startswith("Version:")), 1)
        said = f"`{name}` {version} is installed"
        yield _weakness(base, manifest, line, said, hits, f"Upgrade to {_fix(hits)}.", hits[0].severity)


def _weakness(
    base: Base, manifest: Manifest, line: int, said: str, hits: Sequence[Advisory], advice: str, severity: Severity
) -> Observation:
    known = "; ".join(f"{hit.id}: {hit.what}" for hit in hits)
    return Observation(
        topic=TOPIC,
        claim=f"{said}, which looks vulnerable ({known}).",
        severity=severity,
        confidence=0.8,
        passages=(passage(base, manifest.path, manifest.lines, line),),
        advice=advice,
    )


def _gone(base: Base, manifest: Manifest) -> Iterator[Observation]:
    """What nobody keeps any more."""
    for declared in manifest.declared:
        if reason := abandoned(manifest.ecosystem, declared.name):
            yield Observation(
                topic=TOPIC,
                claim=f"`{manifest.path}` depends on `{declared.name}`: {reason.why}.",
                severity="info" if declared.group else "low",
                confidence=0.8,
                passages=(passage(base, manifest.path, manifest.lines, declared.line),),
                advice=f"Move to {reason.instead}.",
            )


def _elsewhere(base: Base, manifest: Manifest) -> Iterator[Observation]:
    """What does not come from a registry."""
    for declared in _with_bound(manifest, "elsewhere"):
        if not _COMMIT.search(declared.constraint):
            yield Observation(
                topic=TOPIC,
                claim=f"`{manifest.path}` takes `{declared.name}` from a URL that may serve something else tomorrow.",
                severity="low" if declared.group in _BESIDE else "medium",
                confidence=0.8,
                passages=(passage(base, manifest.path, manifest.lines, declared.line),),
                advice="Name a full commit or a hash, or take a release from the registry.",
            )


def _unbounded(base: Base, manifest: Manifest) -> Iterator[Observation]:
    """What any release satisfies, or any later one. Extras and development groups do not count: nobody ships them."""
    if manifests.is_vendored(manifest.path):
        return
    runtime = [d for d in manifest.declared if d.group not in _BESIDE and (not d.group or manifest.ecosystem != "pypi")]
    installs = manifest.is_application
    looks: tuple[tuple[Bound, Severity], ...] = (
        ("none", "medium" if installs else "low"),
        ("lower", "low" if installs else "info"),
    )
    for bound, severity in looks:
        found = [d for d in runtime if bound_of(manifest.ecosystem, d.constraint) == bound]
        if not found:
            continue
        what = "no version at all" if bound == "none" else "a lowest version only"
        yield _summary(
            base,
            manifest,
            found,
            f"`{manifest.path}` names {what} for {len(found)} of {several(len(runtime), 'dependency', 'dependencies')}",
            severity,
            "Pin exact versions with hashes, so that two installations are the same."
            if installs
            else "Name the lowest version that works, and the next major one as a bound, or test against the newest releases."
            if bound == "none"
            else "Usual in a library; whoever deploys it needs a lock file.",
        )


def _unhashed(base: Base, manifest: Manifest) -> Iterator[Observation]:
    """Exact pins without hashes: a registry could serve another file of that version."""
    pinned = _with_bound(manifest, "exact")
    hashed = any(_HASHED.search(line) for line in manifest.lines)
    if manifest.ecosystem == "pypi" and manifest.is_application and len(pinned) >= _WORTH_HASHING and not hashed:
        claim = f"`{manifest.path}` pins {several(len(pinned), 'version')} and gives the hash of none"
        yield _summary(base, manifest, pinned, claim, "info", "Let pip-compile or uv write the hashes.")


def _summary(
    base: Base, manifest: Manifest, found: Sequence[Declared], claim: str, severity: Severity, advice: str
) -> Observation:
    return Observation(
        topic=TOPIC,
        claim=f"{claim}: {listed([d.name for d in found])}.",
        severity=severity,
        confidence=0.95,
        passages=_places(base, manifest, found),
        advice=advice,
    )


def _places(base: Base, manifest: Manifest, found: Sequence[Declared]) -> tuple[Passage, ...]:
    return tuple(passage(base, manifest.path, manifest.lines, declared.line) for declared in found[:MOST_QUOTED])


_LOOKS: Sequence[Callable[[Base, Manifest], Iterable[Observation]]] = (_weak, _gone, _elsewhere, _unbounded, _unhashed)


def _with_bound(manifest: Manifest, bound: Bound) -> list[Declared]:
    return [declared for declared in manifest.declared if bound_of(manifest.ecosystem, declared.constraint) == bound]


def bound_of(ecosystem: Ecosystem, constraint: str) -> Bound:
    """What ``constraint`` of a manifest of that kind promises."""
    wanted = constraint.strip()
    match ecosystem:
        case "pypi":
            return _python(wanted)
        case "npm":
            if _NPM_ELSEWHERE.search(wanted):
                return "elsewhere"
            if wanted in ("", "*", "x", "latest"):
                return "none"
            if re.fullmatch(r"=?v?\d+\.\d+\.\d+\S*", wanted):
                return "exact"
            return "lower" if re.fullmatch(r">=?\s*[\d.]+", wanted) else "bounded"
        case "cargo":
            if not wanted:
                return "unknown"  # a path, a workspace or a repository: the line alone tells
            return "none" if wanted == "*" else "lower" if re.fullmatch(r">=?\s*[\d.]+", wanted) else "bounded"
        case "maven":
            if wanted in ("LATEST", "RELEASE"):
                return "none"
            return "exact" if re.fullmatch(r"\d[\w.-]*", wanted) else "lower" if wanted.endswith(",)") else "unknown"
        case _:
            return "exact"


def _python(wanted: str) -> Bound:
    if "://" in wanted or wanted.startswith("@"):
        return "elsewhere"
    if wanted in ("", "*"):
        return "none"
    if wanted[0] in "^~" and wanted[:2] != "~=":
        return "bounded"  # as Poetry writes it
    try:
        specifiers = list(SpecifierSet(wanted))
    except InvalidSpecifier:
        return "exact" if re.fullmatch(r"\d[\w.+!-]*", wanted) else "unknown"
    operators = {s.operator for s in specifiers}
    if any(s.operator in ("==", "===") and not s.version.endswith("*") for s in specifiers):
        return "exact"
    return "bounded" if operators & {"<", "<=", "==", "~="} else "lower"


def _only(declared: Declared, ecosystem: Ecosystem) -> str:
    """The one version that is allowed, if it is one."""
    if bound_of(ecosystem, declared.constraint) != "exact":
        return ""
    found = re.search(r"(?:===?|^=?v?|^)\s*v?(\d[\w.+!-]*)", declared.constraint.strip())
    return found[1] if found else ""


def _inescapable(declared: Declared, ecosystem: Ecosystem) -> list[Advisory]:
    """What is known against the newest release that the constraint lets in, and was mended only above it."""
    try:
        tops = [s for s in SpecifierSet(declared.constraint) if s.operator in ("<", "<=")] if ecosystem == "pypi" else []
        top = min(tops, key=lambda s: Version(s.version), default=None)
    except (InvalidSpecifier, InvalidVersion):
        return []
    if top is None:
        return []
    newest = top.version if top.operator == "<=" else _below(Version(top.version))
    return [a for a in against(ecosystem, declared.name, newest) if not a.fixed or Version(a.fixed) >= Version(top.version)]


def _below(top: Version) -> str:
    """A version just under ``top``, as high as any release can be."""
    release = list(top.release)
    while release and not release[-1]:
        release.pop()
    return ".".join(map(str, (*release[:-1], release[-1] - 1, 9999))) if release else "0"


def _fix(hits: Sequence[Advisory]) -> str:
    versions = [hit.fixed for hit in hits]
    if not all(versions):
        return "another package: no release is without it"
    return f"{max(versions, key=Version)} or later"
