"""Which tools a subtask of kind general gets: no plan can bring what is private and the open web together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concertino.contracts.errors import ConcertinoError, Invalid, Refused, SourceError
from concertino.general.choosing import Offer, chosen

OFFERS = {
    "docs_search": Offer(public=False, of=("docs",)),
    "docs_read": Offer(public=False, of=("docs",)),
    "code_grep": Offer(public=False, of=("code",)),
    "web_search": Offer(public=True, of=("web",)),
    "web_fetch": Offer(public=True, of=("web",)),
    "tickets_find": Offer(public=False),
    "maps_route": Offer(public=True),
}
PUBLIC = {name for name, offer in OFFERS.items() if offer.public}


@pytest.mark.parametrize(
    ("named", "kinds", "tools"),
    [
        (["docs_search"], ["docs"], {"docs_search"}),
        (["docs_search", "tickets_find"], ["docs"], {"docs_search", "tickets_find"}),
        (["web_search", "maps_route"], [], {"web_search", "maps_route"}),
        (["tickets_find"], [], {"tickets_find"}),
        (None, ["docs"], {"docs_search", "docs_read", "tickets_find"}),
        (None, ["docs", "code"], {"docs_search", "docs_read", "code_grep", "tickets_find"}),
        (None, ["web"], {"web_search", "web_fetch", "maps_route"}),
        ([], [], set()),
    ],
)
def test_tools_are_those_named_else_those_of_the_sources(named: list[str] | None, kinds: list[str], tools: set[str]) -> None:
    assert chosen(named, kinds, OFFERS) == (tools, [])


@pytest.mark.parametrize(
    ("named", "kinds"),
    [
        (["docs_search", "web_fetch"], ["docs"]),
        (["tickets_find", "web_search"], []),
        (["tickets_find", "maps_route"], []),
        (["web_fetch"], ["docs"]),
        (["maps_route"], ["code"]),
        (["docs_search"], ["docs", "web"]),
        (None, ["docs", "web"]),
        (None, []),
    ],
)
def test_what_is_private_and_the_open_web_are_refused_together(named: list[str] | None, kinds: list[str]) -> None:
    with pytest.raises(Refused, match="Split it in two"):
        chosen(named, kinds, OFFERS)


def test_what_there_is_not_is_named() -> None:
    assert chosen(["docs_search", "nonesuch"], ["docs"], OFFERS)[1] == ["the tool nonesuch: there is none of that name now"]
    assert chosen(["docs_search", "code_grep"], ["docs"], OFFERS)[1] == [
        "the tool code_grep: this brief has no source of kind code"
    ]
    assert chosen(["tickets_find"], ["docs"], OFFERS)[1] == ["sources of kind docs: no tool of this brief reads them"]
    with pytest.raises(Invalid, match=r"the tool nonesuch.*there are: docs_search"):
        chosen(["nonesuch"], [], OFFERS)
    with pytest.raises(SourceError, match="reads sources of kind films"):
        chosen(None, ["films"], {name: offer for name, offer in OFFERS.items() if offer.of})


@given(
    named=st.none() | st.lists(st.sampled_from([*OFFERS, "nonesuch"]), unique=True),
    kinds=st.lists(st.sampled_from(["docs", "code", "web", "films"]), max_size=4),
)
def test_never_together_whatever_a_plan_says(named: list[str] | None, kinds: list[str]) -> None:
    try:
        tools, _ = chosen(named, kinds, OFFERS)
    except ConcertinoError:
        return
    assert tools <= set(OFFERS if named is None else named)
    assert not tools & PUBLIC or (tools <= PUBLIC and not {"docs", "code"} & set(kinds))
