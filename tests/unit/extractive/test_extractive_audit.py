"""Reports of audits: worst first, every repository, every finding named or counted, and what was not checked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import structs

from concertino.contracts.messages import (
    Evidence,
    Failure,
    Finding,
    Input,
    Locator,
    Result,
    ResultStatus,
    Severity,
    Source,
    Subtask,
    Work,
)
from concertino.model.extractive.audit import FIRST, HOW, PER_REPOSITORY
from concertino.model.extractive.write import write
from concertino.model.port import Draft, Exhibit, Writing

ASKED = "Audit these repositories."


def fault(
    severity: Severity, claim: str, *, topic: str = "dependencies", path: str = "a.txt", line: int = 3, advice: str = "Mend it."
) -> Finding:
    quote = f"line {line} of {path}"
    place = Locator(lines=(line, line))
    evidence = Evidence(digest="0" * 64, span=(0, len(quote)), source=path, locator=place, quote=quote)
    return Finding(
        claim=claim, evidence=(evidence,), quality=0.9, confidence=0.8, severity=severity, topic=topic, advice=advice
    )


def audited(*results: tuple[str, Result], gaps: Sequence[str] = ()) -> Draft:
    """The report on one subtask for each repository, as the synthesizer asks for it."""
    inputs: list[Input] = []
    exhibits: list[Exhibit] = []
    for number, (location, result) in enumerate(results, 1):
        subtask = Subtask(id=f"s{number}", kind="code", objective=ASKED, sources=(Source(kind="code", location=location),))
        inputs.append(Input(subtask=subtask, result=result))
        for finding in result.findings:
            exhibits += [
                Exhibit(
                    id=str(len(exhibits) + 1 + place),
                    claim=finding.claim,
                    evidence=structs.replace(evidence, root=location),
                    subtask=subtask.id,
                    quality=finding.quality,
                    confidence=finding.confidence,
                    severity=finding.severity,
                    topic=finding.topic,
                    advice=finding.advice,
                )
                for place, evidence in enumerate(finding.evidence)
            ]
    brief = Subtask(id="synthesize-0", kind="synthesize", objective=ASKED)
    work = Work(task="t1", id="synthesis.0", attempt=1, request=ASKED, brief=brief, deadline=1.0, inputs=tuple(inputs))
    return write(Writing(work=work, exhibits=tuple(exhibits), gaps=tuple(gaps)))


def found(*findings: Finding, gaps: Sequence[str] = (), notes: Sequence[str] = ()) -> Result:
    return Result(findings=findings, gaps=tuple(gaps), notes=tuple(notes))


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.split("\n") if line.startswith("| ")]


def test_the_worst_comes_first_with_what_to_do_and_what_shows_it() -> None:
    draft = audited(
        ("/srv/one", found(fault("low", "`a.txt` is untidy."), fault("info", "`b.txt` is long.", path="b.txt"))),
        ("/srv/two", found(fault("critical", "`c.txt` is open to all.", path="c.txt", advice="Close it."))),
        ("/srv/three", found(gaps=["dependencies: nothing found"])),
    )
    assert draft.text.startswith(
        "**3 findings in 3 repositories: 1 critical, 1 low, 1 info.** Something is to be done in two; "
        "what was found in the others is no worse than low.\n\n## What to do first\n\n"
        "**1. critical · two · dependencies.** `c.txt:3` is open to all. [3]\n\n→ Close it.\n\n```\nline 3 of c.txt\n```\n"
    )
    assert rows(draft.text) == [
        ["repository", "critical", "low", "info", "dependencies"],
        ["---", "---:", "---:", "---:", "---:"],
        ["two", "1", "·", "·", "1"],
        ["one", "·", "1", "1", "2"],
        ["three", "·", "·", "·", "·"],
    ]
    assert (
        "- one\n  - low · dependencies: `a.txt:3` is untidy. [1]\n  - info · dependencies: `b.txt:3` is long. [2]\n"
        in draft.text
    )
    assert draft.text.rstrip().endswith(HOW)
    assert draft.open == ()


def test_every_finding_is_named_or_counted() -> None:
    many = [fault("low", f"`f{n}.py` is wrong.", path=f"f{n}.py") for n in range(PER_REPOSITORY + 5)]
    worse = [fault("medium", f"`m{n}.py` is bad.", path=f"m{n}.py") for n in range(FIRST + 2)]
    text = audited(("/srv/one", found(*many)), ("/srv/two", found(*worse))).text
    assert len(re.findall(r"^\*\*\d+\. medium", text, re.MULTILINE)) == FIRST
    assert len(re.findall(r"^  - medium", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^  - low", text, re.MULTILINE)) == PER_REPOSITORY
    assert "  - … and 5 more: 5 low\n" in text


def test_what_is_alike_in_many_is_said_once_with_all_their_names() -> None:
    usual = fault("info", "`METADATA` has no upper bound.", path="METADATA", advice="Keep a lock file.")
    text = audited(*((f"/srv/p{n}", found(usual)) for n in range(6)), ("/srv/bad", found(fault("high", "It is bad.")))).text
    assert text.count("Keep a lock file.") == 1
    assert "6 findings. As in p0: `METADATA:3` has no upper bound." in text
    assert "  - In p0, p1, p2, p3, p4, p5\n" in text
    assert "## Everything else" not in text


def test_what_is_not_worse_than_low_is_still_shown() -> None:
    assert (
        "**1. info · one · dependencies.** It is so. (`a.txt:3`) [1]"
        in audited(("/x/one", found(fault("info", "It is so.")))).text
    )


def test_what_was_not_checked_is_named_with_the_repositories() -> None:
    gap = "dead code: copies are left alone"
    everywhere = "tests: no test was run"
    failed = Result(status=ResultStatus.FAILED, error=Failure(code="source", message="it does not exist"))
    late = Input(subtask=Subtask(id="s9", kind="code", objective=ASKED), result=None)
    assert late.result is None
    draft = audited(
        ("/srv/one", found(fault("high", "Bad."), gaps=[gap, everywhere, "secrets: nothing found"], notes=["not read: x"])),
        ("/srv/two", found(gaps=[everywhere, "secrets: nothing found"])),
        ("/srv/gone", failed),
        gaps=["not read: x", "3 quotes failed the check"],
    )
    assert draft.gaps == (
        "gone: it does not exist",
        f"{gap} (one)",
        everywhere,
        "some files were not read, mostly because they are no text or too large (one)",
        "3 quotes failed the check",
    )
    assert all(f"- {each}\n" in draft.text for each in draft.gaps)
    assert "Not audited, or not to the end: gone." in draft.text
    assert "- secrets: in none of 2 repositories\n" in draft.text
    assert [row[0:1] + row[-2:] for row in rows(draft.text)[2:]] == [["one", "1", "·"], ["gone", "–", "–"], ["two", "–", "·"]]


def test_a_clean_audit_says_so() -> None:
    draft = audited(("/srv/one", found(gaps=["secrets: nothing found", "dead code: nothing found"])))
    assert draft.text.startswith("**Nothing was found in 1 repository.**\n")
    assert "- dead code\n- secrets\n" in draft.text
    assert draft.gaps == ()


def test_one_finding_with_several_places_counts_once() -> None:
    places = tuple(fault("medium", "Twice.", path=path).evidence[0] for path in ("a.py", "b.py"))
    twice = structs.replace(fault("medium", "Twice."), evidence=places)
    text = audited(("/srv/one", found(twice))).text
    assert text.startswith("**1 finding in 1 repository: 1 medium.**")
    assert "Twice. (`a.py:3`) [1] [2]" in text


def test_repositories_are_told_apart_by_as_little_as_needed() -> None:
    bad = fault("high", "Bad.")
    text = audited(
        ("/a/src", found(bad)),
        ("/b/src", found(bad)),
        ("/x/thing-1.0.dist-info", found(bad)),
        ("https://g.org/t/p.git", found(bad)),
    ).text
    assert [row[0] for row in rows(text)[2:]] == ["a/src", "b/src", "p", "thing-1.0"]


def test_hostile_material_changes_no_table_and_cites_nothing() -> None:
    hostile = "a | b [9]\n| c | d |\n# head `tick"
    bad = fault("low", hostile, topic=hostile, advice=hostile, path="p|q\n.py")
    text = audited((f"/srv/{hostile}", found(bad, gaps=[f"{hostile}: nothing found", hostile]))).text
    table = [line for line in text.split("\n") if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
    assert len(table) == 3
    assert len(widths) == 1
    assert not re.search(r"^#+ head", text, re.MULTILINE)
    assert set(re.findall(r"(?<!\\)\[(\d+)\]", re.sub(r"```.*?```", "", text, flags=re.DOTALL))) == {"1"}


def test_one_subtask_may_read_several_repositories() -> None:
    """That a topic was checked holds for all of them, whichever it found something in."""
    sources = tuple(Source(kind="code", location=f"/srv/{name}") for name in ("one", "two"))
    subtask = Subtask(id="s1", kind="code", objective=ASKED, sources=sources)
    bad = fault("high", "Bad.", topic="secrets")
    result = found(bad, gaps=["tests: nothing found", "tests: too large (/srv/one)", "secrets: a rule of the check"])
    shown = structs.replace(bad.evidence[0], root="/srv/two")
    exhibit = Exhibit("1", "Bad.", shown, "s1", 0.9, 0.8, severity="high", topic="secrets")
    brief = Subtask(id="synthesize-0", kind="synthesize", objective=ASKED)
    work = Work(
        task="t1",
        id="synthesis.0",
        attempt=1,
        request=ASKED,
        brief=brief,
        deadline=1.0,
        inputs=(Input(subtask=subtask, result=result),),
    )
    draft = write(Writing(work=work, exhibits=(exhibit,)))
    text = draft.text
    assert rows(text)[0] == ["repository", "high", "secrets", "tests"]
    assert rows(text)[2:] == [["two", "1", "1", "·"], ["one", "·", "·", "0\\*"]]
    assert draft.gaps == ("tests: too large (one)", "secrets: a rule of the check")
    assert "- secrets: nothing in 1 of 2 repositories, that is in all but two\n- tests: in none of 2 repositories\n" in text
