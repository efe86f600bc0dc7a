"""A report: findings reduced if they are too many, weighed, and written up with native citations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest

from concertino.contracts.errors import BudgetSpent, DeadlineExceeded, ModelRefused, ModelRejected, ModelUnavailable, Unusable
from concertino.contracts.facts import failure
from concertino.model import marks
from concertino.model.anthropic import items as weighable
from concertino.model.anthropic.closing import Case, closing, gaps
from concertino.model.anthropic.items import title
from concertino.model.anthropic.material import Block, cut, data, tokens
from concertino.model.anthropic.prose import flagged, marked
from concertino.model.anthropic.reduce import reduced
from concertino.model.anthropic.session import Session, Written
from concertino.model.anthropic.weigh import Objections, Point, Weighed, conflicts, exhibits, mended, shown, with_same
from concertino.model.port import Answer, Draft, Exhibit, Writing

OFFERED = 40_000
"""Tokens of quotes that can be cited in one report."""
QUOTE = 4_000
"""Characters of one that are shown."""
_WRITE = "Write the report."
_FAULTS = (BudgetSpent, DeadlineExceeded, ModelRefused, ModelRejected, ModelUnavailable, Unusable)


async def write(session: Session, job: Writing) -> Answer[Draft]:
    """The report on ``job``. Raises what :meth:`Session.ask` raises; prose that breaks off is completed by what was decided."""
    assert job.prompts is not None
    case = await _weighed(session, job)
    offered = _offered(case)
    prose, shortfall = "", None
    if offered:
        await job.hooks.progress("writing the report")
        written = await _prose(session, case, offered)
        prose, shortfall = marked(written.pieces, [exhibit.id for exhibit in offered]).strip(), written.shortfall
        if not marks.ids(prose) and shortfall:
            prose = ""
        prose = flagged(prose)
    named = gaps(case, prose)
    rest = closing(case, prose, named, shortfall)
    if rest.strip():
        await job.hooks.on_text(rest)
    steps = [job.prompts.digest] if case.reduced.digested else []
    steps += [job.prompts.weigh, *([job.prompts.write] if offered else [])]
    draft = Draft(
        text=prose + rest,
        conflicts=conflicts(case.weighed, case.items),
        gaps=named,
        open=case.weighed.open if job.kinds else (),
        dropped=case.unknown,
    )
    return Answer(draft, shortfall=shortfall or case.shortfall, prompt=" ".join(step.id for step in steps))


async def _prose(session: Session, case: Case, offered: Sequence[Exhibit]) -> Written:
    """What the model writes. Where it does not, what was decided still counts: that is no reason to begin anew."""
    assert case.job.prompts is not None
    try:
        return await session.write(case.job.prompts.write.text, _to_write(case, offered), case.job.hooks.on_text)
    except _FAULTS as e:
        return Written((), failure(e))


async def _weighed(session: Session, job: Writing) -> Case:
    assert job.prompts is not None
    less = await reduced(session, job, weighable.single(job))
    await job.hooks.progress(f"weighing {len(job.exhibits)} finding{'s' if len(job.exhibits) != 1 else ''}")
    check = Objections(less.items)
    shortfall = None
    try:
        answer = await session.ask(job.prompts.weigh.text, shown(job, less.items), Weighed, check)
    except _FAULTS as e:
        if check.first is None:
            raise
        answer = check.first
        shortfall = failure(type(e)(f"the findings were weighed, but what was wrong with it could not be put right: {e}"))
    weighed, unknown = mended(answer, less.items)
    return Case(
        job=job,
        reduced=less,
        weighed=weighed,
        unknown=unknown + less.unknown,
        items={item.id: item for item in less.items},
        exhibits={exhibit.id: exhibit for exhibit in job.exhibits},
        shortfall=shortfall,
    )


def _offered(case: Case) -> list[Exhibit]:
    """The exhibits that the report may cite: the best of each item that has a place in it first, as far as there is room."""
    weighed = case.weighed
    points = [*(p for section in weighed.sections for p in section.points), *(s for d in weighed.conflicts for s in d.sides)]
    wanted = list(dict.fromkeys(id_ for point in points for id_ in point.findings))
    same = sorted(with_same(set(wanted), weighed) - set(wanted), key=lambda id_: case.items[id_].rank)
    ranked = [exhibits([id_], case.items) for id_ in (*wanted, *same, *case.unplaced)]
    offered: list[Exhibit] = []
    left = OFFERED
    for id_ in dict.fromkeys(id_ for id_ in chain.from_iterable(zip_longest(*ranked)) if id_):
        size = tokens(cut(case.exhibits[id_].evidence.quote, QUOTE))
        if size <= left:
            offered.append(case.exhibits[id_])
            left -= size
    return offered


def _to_write(case: Case, offered: Sequence[Exhibit]) -> list[Block]:
    ids = {exhibit.id for exhibit in offered}
    weighed = case.weighed

    def points(made: Sequence[Point]) -> list[object]:
        cited = [(point.claim, [id_ for id_ in exhibits(point.findings, case.items) if id_ in ids]) for point in made]
        return [{"claim": claim, "sources": sources} for claim, sources in cited if sources]

    decisions = {
        "answer": weighed.answer,
        "outline": [{"heading": s.heading, "points": made} for s in weighed.sections if (made := points(s.points))],
        "conflicts": [
            {"statement": d.statement, "sides": points(d.sides), "resolution": d.resolution, "why": d.why}
            for d in weighed.conflicts
        ],
        "doubtful": [{"sources": exhibits(a.findings, case.items), "why": a.why} for a in weighed.doubtful],
        "not_placed": exhibits(case.unplaced, case.items),
    }
    texts = [data("request", case.job.work.request), data("decisions", decisions)]
    return [*({"type": "text", "text": text} for text in texts), *map(_quoted, offered), {"type": "text", "text": _WRITE}]


def _quoted(exhibit: Exhibit) -> Block:
    return {
        "type": "search_result",
        "source": exhibit.id,
        "title": title(exhibit.evidence),
        "content": [{"type": "text", "text": cut(exhibit.evidence.quote, QUOTE)}],
        "citations": {"enabled": True},
    }
