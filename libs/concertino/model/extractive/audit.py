"""Reports of audits: what to do first, a table of all repositories, every finding named or counted, what was not checked."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from concertino.model.extractive.checking import NOTHING_FOUND
from concertino.model.extractive.faults import SEVERITIES, Audit, Fault, Repository, audit
from concertino.model.extractive.markup import block, code, inline, place
from concertino.model.extractive.sections import section
from concertino.model.port import Draft, Writing

FIRST = 12
"""Findings that are shown with what to do and the lines that show them."""
PER_REPOSITORY = 8
"""Further findings of one repository that are written out; the rest is counted."""
_ALIKE = 4
"""Repositories from which on what is the same in all of them is said once."""
_NAMED = 8
"""Repositories that a sentence names; the rest is counted."""
_SHOWN_LINES = 6
"""Lines that are shown of what one finding quotes."""
_WORTH_DOING = ("critical", "high", "medium")

HOW = (
    "*Made without a language model, by checks of the sources alone: nothing was run, and no server was asked. "
    "What only looks wrong is said to look so.*"
)


def is_audit(job: Writing) -> bool:
    """Whether something was checked: findings have severities, or a check says that it has none."""
    results = (item.result for item in job.work.inputs if item.result)
    return any(exhibit.severity for exhibit in job.exhibits) or any(
        gap.endswith(f": {NOTHING_FOUND}") for result in results for gap in result.gaps
    )


def report(job: Writing, how: str = HOW) -> Draft:
    """The report on findings with severities, worst first; ``how`` it was made stands last."""
    found = audit(job)
    first = _first(found.faults)
    rest = [fault for fault in found.faults if fault not in first]
    gaps = tuple(_gaps(job, found))
    lines = [
        *_summary(found),
        *_to_do(first),
        *_table(found),
        *_rest(found, rest),
        *section("Said by workers, without evidence", job.assertions),
        *section("Looked for, and not found", list(_silent(found))),
        *section("Not checked, or not to the end", gaps),
    ]
    return Draft(text="\n".join([*lines, how, ""]), gaps=gaps, verbatim=True)


def _first(faults: Sequence[Fault]) -> list[Fault]:
    """What is worth doing at once, or the best of what there is."""
    worth = [fault for fault in faults if fault.severity in _WORTH_DOING]
    return (worth or list(faults))[:FIRST]


def _summary(found: Audit) -> list[str]:
    faults = found.faults
    counts = [f"{n} {severity}" for severity in SEVERITIES if (n := sum(f.severity == severity for f in faults))]
    number = len(found.repositories)
    where = f"{number} {'repository' if number == 1 else 'repositories'}"
    if not faults:
        missing = [r.name for r in found.repositories if r.missing]
        said = f"**Nothing was found in {where}.**"
        return [f"{said} Not audited, or not to the end: {_names(missing)}." if missing else said, ""]
    said = f"**{len(faults)} {'finding' if len(faults) == 1 else 'findings'} in {where}: {', '.join(counts)}.**"
    worst = [r.name for r in found.repositories if any(r.count(severity) for severity in _WORTH_DOING)]
    missing = [r.name for r in found.repositories if r.missing]
    if number > 1 and worst:
        others = "; what was found in the others is no worse than low" if len(worst) < number else ""
        said += f" Something is to be done in {_names(worst)}{others}."
    if missing:
        said += f" Not audited, or not to the end: {_names(missing)}."
    return [said, ""]


def _to_do(first: Sequence[Fault]) -> list[str]:
    lines = ["## What to do first", ""] if first else []
    for number, fault in enumerate(first, 1):
        head = f"**{number}. {fault.severity} · {inline(fault.repository)} · {inline(fault.topic)}.**"
        lines += [f"{head} {_claim(fault, len(fault.exhibits))}", ""]
        if fault.first.advice:
            lines += [f"→ {inline(fault.first.advice)}", ""]
        source = fault.first.evidence.source
        quotes = [exhibit.evidence.quote for exhibit in fault.exhibits if exhibit.evidence.source == source]
        shown = [line for quote in quotes for line in quote.split("\n")][:_SHOWN_LINES]
        lines += [*block(source, textwrap.dedent("\n".join(shown))), ""]
    return lines


def _claim(fault: Fault, marks: int) -> str:
    """The claim with its place where it does not name that, and marks of the first few that show it."""
    evidence = fault.first.evidence
    where, source = place(evidence.source, evidence.locator), code(evidence.source)
    said = inline(fault.first.claim)
    if where not in said:
        said = said.replace(source, where, 1) if source in said else f"{said} ({where})"
    return " ".join([said, *(f"[{exhibit.id}]" for exhibit in fault.exhibits[:marks])])


def _table(found: Audit) -> list[str]:
    severities = [s for s in SEVERITIES if any(r.count(s) for r in found.repositories)]
    if not severities:
        return []
    titles = ["repository", *severities, *found.topics]
    rows = [
        [
            _cell(repository.name),
            *(str(repository.count(severity) or "·") for severity in severities),
            *(_cell(_count(repository, topic)) for topic in found.topics),
        ]
        for repository in found.repositories
    ]
    head = f"| {' | '.join(map(_cell, titles))} |"
    rule = f"|{'|'.join([' --- ', *(' ---: ' for _ in titles[1:])])}|"
    return [
        "## By repository",
        "",
        head,
        rule,
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        "Findings by severity, and by what was checked: `·` is none, `–` was not checked, `*` not to the end.",
        "",
    ]


def _count(repository: Repository, topic: str) -> str:
    count = repository.about(topic)
    if topic in repository.unchecked:
        return f"{count}\\*" if count or topic in repository.clean else "–"
    return str(count) if count else "·" if topic in repository.clean else "–"


def _rest(found: Audit, rest: Sequence[Fault]) -> list[str]:
    """Everything else: what is alike in many repositories in one entry, the rest by repository."""
    alike = _alike(rest)
    said_once = {id(fault) for faults in alike for fault in faults}
    lines = ["## Alike in many repositories", ""] if alike else []
    for faults in alike:
        fault = faults[0]
        names = ", ".join(sorted({f.repository for f in faults}, key=str.lower))
        like = f"As in {inline(fault.repository)}: {_claim(fault, 1)} → {inline(fault.first.advice)}"
        lines.append(f"- {fault.severity} · {inline(fault.topic)}, {len(faults)} findings. {like}")
        lines.append(f"  - In {inline(names)}")
    lines += [""] if alike else []
    single = [
        (repository, own)
        for repository in found.repositories
        if (own := [fault for fault in rest if fault.repository == repository.name and id(fault) not in said_once])
    ]
    lines += ["## Everything else", ""] if single else []
    for repository, own in single:
        lines.append(f"- {inline(repository.name)}")
        lines += [f"  - {f.severity} · {inline(f.topic)}: {_claim(f, 1)}" for f in own[:PER_REPOSITORY]]
        if over := own[PER_REPOSITORY:]:
            counts = ", ".join(f"{n} {s}" for s in SEVERITIES if (n := sum(f.severity == s for f in over)))
            lines.append(f"  - … and {len(over)} more: {counts}")
    return [*lines, ""] if single else lines


def _alike(rest: Iterable[Fault]) -> list[list[Fault]]:
    """Findings for information that come with the same advice in many repositories."""
    groups: dict[tuple[str, str], list[Fault]] = {}
    for fault in rest:
        if fault.severity == SEVERITIES[-1] and fault.first.advice:
            groups.setdefault((fault.topic, fault.first.advice), []).append(fault)
    return [faults for faults in groups.values() if len({fault.repository for fault in faults}) >= _ALIKE]


def _silent(found: Audit) -> Iterator[str]:
    audited = [repository for repository in found.repositories if not repository.missing]
    for topic in found.topics:
        clean = [repository.name for repository in audited if topic in repository.clean]
        others = [repository.name for repository in audited if topic not in repository.clean]
        if clean and not others:
            yield f"{topic}: in none of {len(audited)} repositories" if len(audited) > 1 else topic
        elif clean and len(others) <= _NAMED:
            yield f"{topic}: nothing in {len(clean)} of {len(audited)} repositories, that is in all but {_names(others)}"
        elif clean:
            yield f"{topic}: nothing in {len(clean)} of {len(audited)} repositories"


def _gaps(job: Writing, found: Audit) -> Iterator[str]:
    """Each reason once, with the repositories that it holds for; then what did not come, and what could not be read."""
    several = len(found.repositories) > 1
    audited = sum(not repository.missing for repository in found.repositories)
    for repository in found.repositories:
        if repository.missing:
            yield f"{repository.name}: {repository.missing}"
    yield from job.work.unread
    for gap, where in found.left_out.items():
        names = list(dict.fromkeys(where))
        yield f"{gap} ({_names(names)})" if several and len(names) < audited else gap
    results = [item.result for item in job.work.inputs if item.result]
    unread = [repository.name for repository in found.repositories if repository.notes]
    if several and unread:
        yield f"some files were not read, mostly because they are no text or too large ({_names(unread)})"
    else:
        yield from dict.fromkeys(note for result in results for note in result.notes)
    told = {text for result in results for text in (*result.gaps, *result.notes)}
    yield from (gap for gap in job.gaps if gap not in told)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _cell(text: str) -> str:
    return inline(text).replace("|", "\\|")
