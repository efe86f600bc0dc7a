"""Which tools one piece of work gets, and which it may not have together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from concertino.contracts.errors import Invalid, Refused, SourceError


class Offer(Struct, frozen=True):
    """A tool that could be given. ``of``: the kinds of source that it reads.

    ``public``: it reaches the open web; else it may read what is private.
    """

    public: bool
    of: tuple[str, ...] = ()

    def serves(self, kinds: Collection[str]) -> bool:
        """Whether it has something to work on where there are sources of these ``kinds``."""
        return self.public or not self.of or not set(self.of).isdisjoint(kinds)


def chosen(named: Sequence[str] | None, kinds: Sequence[str], offers: Mapping[str, Offer]) -> tuple[frozenset[str], list[str]]:
    """The tools for a brief that names ``named`` and has sources of these ``kinds``, and what it asks for and does not get.

    None named: those that read its sources, and those of the same side (public or private) that need none. Raises
    :class:`Refused` where what is private and the open web would come together, :class:`Invalid` where there is no such tool at
    all, and :class:`SourceError` where nobody reads its sources.
    """
    tools, missing = _all(kinds, offers) if named is None else _named(named, kinds, offers)
    sides = {offers[tool].public for tool in tools} | {_side(kind, offers) for kind in kinds if _is_read(kind, offers)}
    if len(sides) > 1:
        raise Refused(_apart(tools, kinds, offers))
    read = {kind for tool in tools for kind in offers[tool].of}
    unread = [kind for kind in dict.fromkeys(kinds) if kind not in read]
    if unread and len(unread) == len(set(kinds)) and not any(not offers[tool].of for tool in tools):
        raise SourceError(f"no tool of this brief reads sources of kind {', '.join(unread)}; there are: {', '.join(offers)}")
    return frozenset(tools), [*missing, *(f"sources of kind {kind}: no tool of this brief reads them" for kind in unread)]


def _named(named: Sequence[str], kinds: Collection[str], offers: Mapping[str, Offer]) -> tuple[list[str], list[str]]:
    tools: list[str] = []
    missing: list[str] = []
    for tool in named:
        if tool not in offers:
            missing.append(f"the tool {tool}: there is none of that name now")
        elif not offers[tool].serves(kinds):
            missing.append(f"the tool {tool}: this brief has no source of kind {' or '.join(offers[tool].of)}")
        else:
            tools.append(tool)
    if missing and not tools:
        raise Invalid(f"{'; '.join(missing)}; there are: {', '.join(offers) or 'none'}")
    return tools, missing


def _all(kinds: Collection[str], offers: Mapping[str, Offer]) -> tuple[list[str], list[str]]:
    tools = [tool for tool, offer in offers.items() if set(offer.of) & set(kinds)]
    sides = {offers[tool].public for tool in tools}
    free = [tool for tool, offer in offers.items() if not offer.of and (not sides or sides == {offer.public})]
    return [*tools, *free], []


def _is_read(kind: str, offers: Mapping[str, Offer]) -> bool:
    return any(kind in offer.of for offer in offers.values())


def _side(kind: str, offers: Mapping[str, Offer]) -> bool:
    """Whether sources of this kind are public."""
    return all(offer.public for offer in offers.values() if kind in offer.of)


def _apart(tools: Sequence[str], kinds: Sequence[str], offers: Mapping[str, Offer]) -> str:
    public = [tool for tool in tools if offers[tool].public]
    private = [tool for tool in tools if not offers[tool].public]
    public += [f"sources of kind {kind}" for kind in dict.fromkeys(kinds) if _is_read(kind, offers) and _side(kind, offers)]
    private += [
        f"sources of kind {kind}" for kind in dict.fromkeys(kinds) if _is_read(kind, offers) and not _side(kind, offers)
    ]
    return (
        f"one subtask may not reach the open web ({', '.join(public)}) and read what may be private ({', '.join(private)}): "
        "a page could have it carried out in an address. Split it in two, the second depending on the first, and name the "
        "tools of each"
    )
