"""What a model is shown when it is to plan: workers, sources, limits, what was done before, and the request.

All but the request is material from elsewhere: each piece stands on a line of its own and cannot close the block that it is in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import structs

from concertino.contracts.messages import Announcement, Input
from concertino.masking import visible, without_credentials
from concertino.model.port import Planning

_DESCRIPTION, _ABILITY, _TOOLS = 600, 200, 80
_OBJECTIVE, _CLAIM, _GAP = 400, 240, 300
_ITEMS, _CLAIMS = 200, 400
_BRACKETS = str.maketrans("<>＜＞﹤﹥", "‹›‹›‹›")
"""Earlier subtasks that are told of, and findings of all of them together. What is left out is counted."""


def offers(kinds: Iterable[Announcement]) -> dict[str, Announcement]:
    """Each kind once, with the tools of all its replicas, by name."""
    found: dict[str, Announcement] = {}
    for kind in sorted((k for k in kinds if not k.internal), key=lambda k: (k.kind, k.replica)):
        known = found.setdefault(kind.kind, kind)
        tools = tuple(dict.fromkeys((*known.tools, *kind.tools)))
        public = tuple(dict.fromkeys((*known.public, *kind.public)))
        found[kind.kind] = structs.replace(known, tools=tools, public=public, abilities={**kind.abilities, **known.abilities})
    return found


def described(job: Planning) -> list[str]:
    """The message, as one text for what is the same for many tasks and one for what is not."""
    work = job.work
    fleet = _block("workers", (line for kind in offers(job.kinds).values() for line in _kind(kind)))
    parts = [_block("sources", _sources(job)), _block("limits", _limits(job))]
    if work.id != "plan.0":
        parts += [_block("done", _done(work.inputs)), _block("gaps", (f"- {_line(gap, _GAP)}" for gap in work.gaps))]
        parts.append("A report was written. Plan another round for its gaps, on this request:")
    else:
        parts.append("Plan this request:")
    return [fleet, "\n\n".join([*parts, work.request])]


def _block(name: str, lines: Iterable[str]) -> str:
    return "\n".join([f"<{name}>", *lines, f"</{name}>"])


def _kind(kind: Announcement) -> Iterator[str]:
    yield f"{kind.kind}: {_line(kind.description, _DESCRIPTION)}"
    yield f"  reads sources of kind: {', '.join(kind.sources)}" if kind.sources else "  needs no sources"
    for tool in kind.tools[:_TOOLS]:
        ability = _line(kind.abilities.get(tool, ""), _ABILITY)
        where = " (reaches the public web)" if tool in kind.public else ""
        yield f"  tool {_line(tool, 64)}{where}{': ' if ability else ''}{ability}"


def _sources(job: Planning) -> Iterator[str]:
    if not job.work.sources:
        yield "none"
    for number, source in enumerate(job.work.sources, 1):
        location = _line(without_credentials(source.location), 500)
        yield f"{number}. {source.kind}: {location}{f' at {_line(source.ref, 256)}' if source.ref else ''}"


def _limits(job: Planning) -> Iterator[str]:
    limits = job.work.limits
    yield f"subtasks at the most: {job.max_subtasks}"
    yield f"effort: {limits.effort}"
    yield f"seconds for the whole task: {limits.deadline:.0f}"
    if limits.max_tokens:
        yield f"tokens for the whole task: {limits.max_tokens}"
    if limits.max_cost:
        yield f"US dollars for the whole task: {limits.max_cost:.2f}"


def _done(inputs: Sequence[Input]) -> Iterator[str]:
    told = inputs[:_ITEMS]
    claims = max(2, min(8, _CLAIMS // max(len(told), 1)))
    for item in told:
        yield from _told(item, claims)
    if len(inputs) > len(told):
        yield f"and {len(inputs) - len(told)} subtasks more"


def _told(item: Input, claims: int) -> Iterator[str]:
    subtask, result = item.subtask, item.result
    status = result.status.value if result else "nothing came"
    yield f"{subtask.id} ({subtask.kind}, {status}): {_line(subtask.objective, _OBJECTIVE)}"
    if result is None:
        return
    best = sorted(result.findings, key=lambda finding: -finding.confidence)
    for finding in best[:claims]:
        yield f"  found: {_line(finding.claim, _CLAIM)}"
    if len(best) > claims:
        yield f"  and {len(best) - claims} findings more"
    for gap in result.gaps[:claims]:
        yield f"  in vain: {_line(gap, _GAP)}"
    if result.error:
        yield f"  trouble: {_line(result.error.message, _GAP)}"


def _line(text: str, most: int) -> str:
    """On one line, at most ``most`` characters, without a sign that opens or closes a block, or looks like one."""
    flat = " ".join(visible(text).split())
    cut = flat if len(flat) <= most else f"{flat[:most]} …"
    return cut.translate(_BRACKETS)
