"""How research on the web begins: with the pages that are named, and for a model that asks for none, with those of a search."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from concertino.contracts.errors import ConcertinoError, SourceError
from concertino.contracts.messages import Source, Work
from concertino.model.extractive import Extractive
from concertino.model.port import Hosted
from concertino.web.addresses import addresses
from concertino.web.seeds import Seeds, seeds
from concertino.web.tools import Web, name_of
from concertino.worker import Context

SEARCH: Hosted = "web_search"
HITS = 6
"""Pages that a search brings to a model that asks for none itself."""
NAMED = 5
"""Pages that are named in one text; the rest is counted."""


class Begun(Struct, frozen=True):
    """What was to be fetched, and what a reader of the result should know of that."""

    wanted: Seeds
    notes: tuple[str, ...] = ()


def hosted(context: Context) -> frozenset[Hosted]:
    """The search of the model's provider, where there is one and the brief does not rule it out."""
    allowed = context.work.brief.tools is None or SEARCH in context.work.brief.tools
    return frozenset({SEARCH}) & context.model.hosts if allowed else frozenset()


async def begin(context: Context, web: Web, sources: Sequence[Source]) -> Begun:
    """Fetch what ``sources`` and the brief name, side by side, and what a search finds for a model that does not search.

    A page that cannot be read costs that page. Where none can be read and nobody can look for others, it raises
    :class:`~concertino.contracts.errors.Transient` if one may be read later, else :class:`SourceError`.
    """
    wanted = seeds(context.work, sources)
    if urls := [*wanted.named, *wanted.suggested]:
        shown = ", ".join(name_of(url) for url in urls[:NAMED])
        await context.progress(f"fetching {shown}" + (f" and {len(urls) - NAMED} more" if len(urls) > NAMED else ""))
        await web.get_all(urls)
    extractive = isinstance(context.model, Extractive)
    notes = await _searched(context, web) if extractive else ()
    searches = not extractive and (web.searches or bool(hosted(context)))
    if not len(web) and not searches:
        raise _nothing(web, notes)
    return Begun(wanted, notes)


def in_words(work: Work) -> Work:
    """``work`` without the addresses in its objective: they say where to look, and not what for."""
    objective = work.brief.objective
    for address in addresses(objective):
        objective = objective.replace(address, " ")
    words = " ".join(objective.split())
    return structs.replace(work, brief=structs.replace(work.brief, objective=words)) if words else work


async def _searched(context: Context, web: Web) -> tuple[str, ...]:
    """Fetch what the installation's search engine names. A search that fails is a note, unless there is nothing else."""
    objective = in_words(context.work).brief.objective
    if not web.searches:
        return ()
    await context.progress(f"searching the web: {objective[:100]}")
    try:
        found = await web.find(objective, HITS)
    except ConcertinoError as e:
        if not len(web):
            raise
        return (f"the web was not searched: {e}",)
    await web.get_all(hit.url for hit in found)
    return () if found else ("the web was searched, and the search named no page",)


def _nothing(web: Web, notes: tuple[str, ...]) -> ConcertinoError:
    """Why there is nothing to work on: what may pass comes first, as it is worth another attempt."""
    if passing := [e for e in web.failed.values() if e.retryable]:
        return type(passing[0])("; ".join(str(e) for e in passing[:NAMED]))
    if web.failed:
        return SourceError("; ".join(str(e) for e in list(web.failed.values())[:NAMED]))
    if notes:
        return SourceError("; ".join(notes))
    return SourceError(
        "this brief names no web address, and nobody searches the web here: name pages (--url, or in the request), set "
        "CTN_SEARCH, or use a model that searches"
    )
