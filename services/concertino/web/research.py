"""Research on the web: what is named is fetched first, the model does the rest, and what could not be read is said."""

from __future__ import annotations

from msgspec import structs

from concertino.contracts.errors import SourceError
from concertino.contracts.facts import failure
from concertino.contracts.messages import Finding, Result, ResultStatus
from concertino.model.extractive import Extractive
from concertino.model.port import Prompt
from concertino.web.beginning import NAMED, Begun, begin, hosted, in_words
from concertino.web.seeds import MOST
from concertino.web.standing import WORTH
from concertino.web.tools import Web, name_of
from concertino.worker import Context
from concertino.worker.handlers import settle


async def research(context: Context, web: Web, prompt: Prompt) -> Result:
    """The findings of the context's model in ``web``. Raises what :func:`.beginning.begin` raises."""
    begun = await begin(context, web, context.sources)
    extractive = isinstance(context.model, Extractive)
    if extractive:
        context.work = in_words(context.work)
    context.tools.add(*web.tools())
    answer = await context.research(prompt, hosted=hosted(context))
    result = settle(answer, context)
    assert isinstance(result, Result)
    if extractive:
        result = structs.replace(result, findings=tuple(_weighed(finding, web) for finding in result.findings))
    return _complete(result, web, begun)


def _complete(result: Result, web: Web, begun: Begun) -> Result:
    """With what was not read. It is partial if the caller named such a page, or if there was nothing else."""
    unread = [f"not read: {name}: {reason}" for name, reason in web.problems]
    more = [f"not read: {len(unread) - NAMED} more pages"] if len(unread) > NAMED else []
    result = structs.replace(result, notes=(*result.notes, *begun.notes, *unread[:NAMED], *more))
    missed = [str(e) for url in begun.wanted.named if (e := web.failed.get(name_of(url)))]
    if begun.wanted.left:
        missed.append(
            f"{len(begun.wanted.left)} of the pages that were named were not fetched: a brief begins with {MOST} at most"
        )
    if not len(web) and not result.findings and not missed:
        missed = [str(e) for e in web.failed.values()]
    if not missed:
        return result
    causes = [*missed[:NAMED], *([result.error.message] if result.error else [])]
    return structs.replace(result, status=ResultStatus.PARTIAL, error=failure(SourceError("; ".join(causes))))


def _weighed(finding: Finding, web: Web) -> Finding:
    """``finding`` worth no more than the place that it is from."""
    worth = max((WORTH[web.standing(evidence.source)] for evidence in finding.evidence), default=1.0)
    return structs.replace(finding, quality=min(finding.quality, worth))
