"""What is weighed: single findings, or points that were reduced from many. Each knows the exhibits that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from concertino.contracts.messages import Evidence
from concertino.model.anthropic.material import cut, tokens
from concertino.model.extractive.markup import place
from concertino.model.port import Exhibit, Writing

QUOTE, CLAIM, OBJECTIVE, PLACE = 2_000, 1_000, 160, 400
"""Characters that are shown of each."""
PLACES = 3
"""Places that are shown of a point; the rest is counted."""


class Item(Struct, frozen=True):
    """``shown`` is how a model sees it; it is cited by ``id``. ``exhibits``: their ids, best first."""

    id: str
    exhibits: tuple[str, ...]
    shown: dict[str, Any]
    about: str
    """Its topic, or what it was found for."""
    size: int
    """In tokens, about."""
    rank: int
    """The place of its best exhibit among all: the lower the better."""


def single(job: Writing) -> list[Item]:
    """Every exhibit as an item of its own."""
    objectives = {item.subtask.id: item.subtask.objective for item in job.work.inputs}
    several = len(set(objectives.values())) > 1
    return [
        _single(exhibit, rank, objectives.get(exhibit.subtask, ""), told=several) for rank, exhibit in enumerate(job.exhibits)
    ]


def point(id_: str, claim: str, items: Sequence[Item], by_id: Mapping[str, Exhibit]) -> Item:
    """What ``items`` come to. ``by_id`` holds all exhibits, best first."""
    items = sorted(items, key=lambda item: item.rank)
    exhibits = list(dict.fromkeys(exhibit for item in items for exhibit in item.exhibits))
    best = by_id[exhibits[0]]
    shown: dict[str, Any] = {"id": id_, "claim": cut(claim, CLAIM)}
    shown["where"] = [title(by_id[exhibit].evidence) for exhibit in exhibits[:PLACES]]
    shown |= {"rests_on": len(exhibits), **_worth(best)}
    return _item(id_, exhibits, shown, items[0].about, items[0].rank)


def title(evidence: Evidence) -> str:
    """Where it stands, and in which of several sources."""
    where = place(evidence.source, evidence.locator)
    return cut(f"{where} in {evidence.root}" if evidence.root else where, PLACE)


def _single(exhibit: Exhibit, rank: int, objective: str, *, told: bool) -> Item:
    evidence = exhibit.evidence
    shown: dict[str, Any] = {"id": exhibit.id, "claim": cut(exhibit.claim, CLAIM), "quote": cut(evidence.quote, QUOTE)}
    before, after = exhibit.around
    optional = {
        "before": before,
        "after": after,
        "where": cut(place(evidence.source, evidence.locator), PLACE),
        "in": cut(evidence.root, PLACE),
        "also": [cut(claim, CLAIM) for claim in exhibit.also[:PLACES]],
        "found_for": cut(objective, OBJECTIVE) if told else "",
    }
    shown |= {name: value for name, value in optional.items() if value} | _worth(exhibit)
    return _item(exhibit.id, [exhibit.id], shown, exhibit.topic or objective, rank)


def _worth(exhibit: Exhibit) -> dict[str, Any]:
    named = {"severity": exhibit.severity, "topic": exhibit.topic, "advice": exhibit.advice}
    found = {"source_quality": round(exhibit.quality, 2), "confidence": round(exhibit.confidence, 2)}
    return found | {name: value for name, value in named.items() if value}


def _item(id_: str, exhibits: Iterable[str], shown: dict[str, Any], about: str, rank: int) -> Item:
    return Item(id_, tuple(exhibits), shown, about, tokens(msgspec.json.encode(shown).decode()), rank)
