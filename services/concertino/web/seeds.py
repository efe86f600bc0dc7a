"""Which pages a brief begins with: those that it or its task names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from concertino.contracts.messages import Source, Work
from concertino.web.addresses import addresses

MOST = 30
"""Pages that are fetched before the model begins."""


class Seeds(Struct, frozen=True):
    """``named`` by the caller, so that one which cannot be read is missed; ``suggested`` by the plan alone; ``left`` out, as
    there are more than MOST."""

    named: tuple[str, ...]
    suggested: tuple[str, ...]
    left: tuple[str, ...] = ()


def seeds(work: Work, sources: Sequence[Source]) -> Seeds:
    """The addresses of ``work``, ``sources`` being those that it may read."""
    brief = work.brief
    named = _distinct([source.location for source in sources if source.kind == "web"], addresses(work.request))
    points = (found for point in brief.starting_points for found in addresses(point))
    suggested = [url for url in _distinct(points, addresses(brief.objective)) if url not in named]
    kept = named[:MOST]
    return Seeds(tuple(kept), tuple(suggested[: MOST - len(kept)]), tuple(named[MOST:]))


def _distinct(*many: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(url for urls in many for url in urls))
