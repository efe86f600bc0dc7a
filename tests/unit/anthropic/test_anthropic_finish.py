"""Research whose caller asks to finish: no more is read, and what was read is written up, with tools off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec import structs
from test_anthropic_research import EXPECTED, FOUND, SEARCH, Bench, last_text

from concertino.contracts.errors import Finished
from concertino.model.port import Answer, Findings
from concertino.model.wish import Wish
from concertino.testing import Hang, MessagesApi, Tool, UseTools
from kit.claude import Claude
from kit.waiting import until

Make = Callable[..., Claude]


class Asking:
    """Research under way, and the wish of its caller."""

    def __init__(self, claude: Claude, bench: Bench) -> None:
        self.wish = Wish()
        hooks = structs.replace(claude.hooks, wish=self.wish)
        self.answer: asyncio.Task[Answer[Findings]] = asyncio.ensure_future(
            claude.model.research(bench.job(claude, hooks=hooks))
        )


def check(api: MessagesApi, answer: Answer[Findings]) -> None:
    assert answer.value == EXPECTED
    assert answer.shortfall is not None
    assert answer.shortfall.code == "finished"
    last = api.asked[-1]
    assert "What there is, is wanted now" in last_text(last)
    assert last.body["tool_choice"] == {"type": "none"}
    assert not api.unexpected
    assert not api.rejected


async def test_a_call_that_goes_on_is_given_up_and_what_was_read_is_written_up(api: MessagesApi, claude: Make) -> None:
    api.on("", SEARCH, Hang(), FOUND)
    asking = Asking(claude(), Bench())
    await until(lambda: len(api.asked) == 2)

    asking.wish.voice()

    check(api, await asking.answer)
    assert asking.answer.result().shortfall.message == (  # type: ignore[union-attr]
        "the caller asked to finish: what had been read after 1 calls was written up"
    )


async def test_a_tool_that_goes_on_is_given_up_too_and_its_call_is_answered(api: MessagesApi, claude: Make) -> None:
    api.on("", SEARCH, UseTools(Tool("read", path="both"), Tool("read", path="a")), FOUND)
    bench = Bench()
    asking = Asking(claude(), bench)
    await until(lambda: "read both" in bench.called)

    asking.wish.voice()

    check(api, await asking.answer)
    assert bench.together.n_waiting == 0  # it was interrupted
    assert len(api.asked[-1].errors) == 2


async def test_where_nothing_was_read_nothing_is_paid_for(api: MessagesApi, claude: Make) -> None:
    api.on("", Hang(), FOUND)
    asking = Asking(claude(), Bench())
    await until(lambda: len(api.asked) == 1)

    asking.wish.voice()

    with pytest.raises(Finished, match="before anything had been read"):
        await asking.answer
    assert len(api.asked) == 1


async def test_who_was_asked_before_it_began_asks_no_model(api: MessagesApi, claude: Make) -> None:
    asking = Asking(claude(), Bench())
    asking.wish.voice()

    with pytest.raises(Finished):
        await asking.answer
    assert api.asked == []


async def test_who_is_cancelled_is_cancelled(api: MessagesApi, claude: Make) -> None:
    api.on("", SEARCH, Hang())
    asking = Asking(claude(), Bench())
    await until(lambda: len(api.asked) == 2)

    asking.answer.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking.answer
    asking.wish.voice()  # nobody listens any more
