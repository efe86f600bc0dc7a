"""Research with tools of several toolsets, each over its own sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from concertino.contracts.errors import ConcertinoError, Invalid, SourceError, Transient
from concertino.contracts.messages import Result, Source
from concertino.general.choosing import Offer, chosen
from concertino.model import prompts
from concertino.model.extractive import Extractive
from concertino.model.port import Hosted, Prompt
from concertino.retrieval.search import SearchResult, merge
from concertino.worker import Context
from concertino.worker.handlers import settle
from concertino.worker.reading import Reading, completed
from concertino.worker.tools import ToolFunction, spec
from concertino.worker.toolsets import Toolset

MOST_ROLE = 20_000
"""Characters of a role and its instructions."""


async def research(context: Context, toolsets: Mapping[str, Toolset], prompt: Prompt) -> Result:
    """The findings of the context's model, in the role that the brief gives it and with the tools that the brief names.

    A source that cannot be read costs that source. Raises :class:`SourceError` where there are some and none can be read, and
    what :func:`.choosing.chosen` raises.
    """
    brief, sources = context.work.brief, context.sources
    remotes, away = await context.servers.tools(brief.tools)
    offers = offered(toolsets, context)
    offers |= {remote.spec.name: Offer(remote.public) for remote in remotes if remote.spec.name not in offers}
    try:
        allowed, missing = chosen(brief.tools, [source.kind for source in sources], offers)
    except Invalid as e:
        if away and not isinstance(e, SourceError):
            raise Transient("; ".join([str(e), *away])) from e  # what is away may come back
        raise
    if not allowed and not context.inputs:
        raise Invalid("this brief names no tools and no sources, and there are no results that it could work on: name some")
    context.notes += [f"not available: {what}" for what in [*missing, *away]]
    wanted = [toolset for toolset in toolsets.values() if any(name in allowed for name in _names(toolset, context))]
    readings, failed = await _opened(context, wanted, sources)
    try:
        if sources and wanted and not readings and not any(not offers[tool].of for tool in allowed):
            raise failed[0] if len(failed) == 1 else SourceError("; ".join(map(str, failed)))
        if isinstance(context.model, Extractive) and not readings:
            raise Invalid(
                "without a model that thinks this worker only searches its sources: name some, or set a key for a model"
            )
        _offer(context, readings, allowed)
        answer = await context.research(_in_role(context, prompt), hosted=_hosted(context, wanted, allowed))
        problems = [problem for _, reading in readings for problem in reading.problems]
    finally:
        for _, reading in readings:
            await reading.close()
    unread = [why for _, reading in readings for why in reading.failed]
    return completed(settle(answer, context), problems, [*map(str, failed), *unread])


def offered(toolsets: Mapping[str, Toolset], context: Context) -> dict[str, Offer]:
    """Every tool of ``toolsets``, by the name that it has here."""
    return {name: Offer(toolset.public, toolset.sources) for toolset in toolsets.values() for name in _names(toolset, context)}


def _names(toolset: Toolset, context: Context) -> Sequence[str]:
    return [toolset.qualified(tool) for tool in toolset.abilities(context.settings, context.model)]


async def _opened(
    context: Context, wanted: Sequence[Toolset], sources: Sequence[Source]
) -> tuple[list[tuple[Toolset, Reading]], list[ConcertinoError]]:
    readings: list[tuple[Toolset, Reading]] = []
    failed: list[ConcertinoError] = []
    try:
        for toolset in wanted:
            own = [source for source in sources if source.kind in toolset.sources]
            if not own and not toolset.public:
                continue  # nothing to read; the web needs no source
            try:
                readings.append((toolset, await Reading.of(context, toolset, own)))
            except SourceError as e:
                failed.append(e)
    except BaseException:
        for _, reading in readings:
            await reading.close()
        raise
    return readings, failed


def _offer(context: Context, readings: Sequence[tuple[Toolset, Reading]], allowed: frozenset[str]) -> None:
    tools = context.tools
    searches: list[ToolFunction] = []
    tools.allow_only({*allowed, "search"} if isinstance(context.model, Extractive) else allowed)
    for toolset, reading in readings:
        functions = [(function, spec(function)) for function in reading.tools()]
        names = [own.name for _, own in functions]
        for function, own in functions:
            name = toolset.qualified(own.name)
            tools.offer(structs.replace(own, name=name, description=toolset.described(own.description, names)), function)
            if own.name == "search" and name in allowed:
                searches.append(function)
    if isinstance(context.model, Extractive) and searches:
        tools.add(_merged(searches))


def _merged(searches: Sequence[ToolFunction]) -> ToolFunction:
    """One search over all: the extractive model knows no other name."""

    async def search(query: str, limit: int = 20) -> SearchResult:
        """Find the passages that answer best, over all sources."""
        return merge([await each(query=query, limit=limit) for each in searches], limit)

    return search


def _hosted(context: Context, wanted: Sequence[Toolset], allowed: frozenset[str]) -> frozenset[Hosted]:
    """Tools of the model's provider that stand in for those of a toolset."""
    return frozenset(tool for tool in context.model.hosts if tool in allowed and any(toolset.public for toolset in wanted))


def _in_role(context: Context, prompt: Prompt) -> Prompt:
    brief = context.work.brief
    told = [*([f"Your role: {brief.role}"] if brief.role else []), *([brief.instructions] if brief.instructions else [])]
    text = "\n\n".join(told)[:MOST_ROLE]
    return prompts.joined(prompt, prompts.written("role", text)) if text else prompt
