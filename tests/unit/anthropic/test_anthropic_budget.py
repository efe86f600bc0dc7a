"""Calls that are paid for, through the real SDK and a real ledger: what is reserved and booked, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.contracts.budget import amount
from concertino.contracts.codec import decode
from concertino.contracts.errors import BudgetSpent, ConcertinoError, DeadlineExceeded, ModelUnavailable, Refused
from concertino.contracts.messages import Amount, Evidence, Ledger, Limits, Locator, Passage, Plan, Usage, Work
from concertino.contracts.subjects import Subjects
from concertino.model.port import Answer, Exhibit, Findings, Planning, Prompt, Research, Writing, WritingPrompts
from concertino.runtime.config import Config, ModelChoice
from concertino.testing import Asked, Break, CutOff, Fault, Hang, MessagesApi, Raw, Refuse, Say, Tool, UseTools
from concertino.worker.evidence import EvidenceLog
from concertino.worker.purse import Purse
from concertino.worker.tools import Toolbox
from kit import script
from kit.claude import Claude, work

Make = Callable[..., Claude]

PORT = Passage(source="conf/server.ini", text="port = 8080", locator=Locator(lines=(1, 1)))
FOUND = script.findings(script.claim("It listens on port 8080.", ("conf/server.ini", "port = 8080")))
SEARCH = UseTools(Tool("search", query="port"))
ALONE = Config(models={"docs": ModelChoice(fallback="")})
SMALL = Config(models={"docs": ModelChoice(fallback="", max_tokens=5_000)})


class Paying:
    """A job that pays from a ledger on the bus in memory."""

    def __init__(self, claude: Claude, limits: Limits, *, read: int = 100) -> None:
        self.claude, self.bus, self.subjects = claude, MemoryBus(), Subjects()
        self.work: Work = work(limits=limits)
        self.read = read
        log = EvidenceLog(MemoryBus(), "web")
        self.box = Toolbox(on_seen=log.saw)
        self.box.add(self.search)
        self.check = log.problems

    async def search(self, query: str) -> list[Passage]:
        """Finds passages."""
        return [PORT, structs.replace(PORT, text=f"{query} " + "x" * self.read)]

    async def research(self) -> Answer[Findings]:
        await self.bus.provision(installation(self.subjects))
        prompt = Prompt("research", "7", "You research.")
        job = Research(work=self.work, tools=self.box, prompt=prompt, check=self.check, hooks=self.hooks)
        return await self.claude.model.research(job)

    async def plan(self) -> Answer[Plan]:
        await self.bus.provision(installation(self.subjects))
        job = Planning(work=structs.replace(self.work, id="plan.0"), kinds=(), max_subtasks=5, hooks=self.hooks)
        return await self.claude.model.plan(job)

    @property
    def hooks(self) -> Any:
        purse = Purse(self.bus, self.subjects, self.work, 1, monotonic=lambda: self.claude.now, sleep=self.claude._sleep)
        return structs.replace(self.claude.hooks, purse=purse)

    async def ledger(self) -> Ledger:
        entry = await self.bus.get_key(self.subjects.budget_bucket, "t1")
        return decode(Ledger, entry.value) if entry.value else Ledger()

    @property
    def metered(self) -> Amount:
        return amount(sum((call.usage for call in self.claude.calls), Usage()))


async def test_the_ledger_says_what_the_calls_took(api: MessagesApi, claude: Make) -> None:
    api.on("", SEARCH, FOUND)
    paying = Paying(claude(), Limits(max_tokens=100_000, max_cost=5.0))
    answer = await paying.research()
    assert answer.shortfall is None
    ledger = await paying.ledger()
    assert ledger.spent.tokens == paying.metered.tokens > 0
    assert ledger.spent.cost == pytest.approx(paying.metered.cost)
    assert ledger.holds == ()


@pytest.mark.parametrize("limits", [Limits(max_tokens=60_000), Limits(max_cost=0.2)])
async def test_no_answer_may_be_longer_than_what_is_left(api: MessagesApi, claude: Make, limits: Limits) -> None:
    """Five workers of one task at once, whose answers are as long as they may be."""

    async def greedy(asked: Asked) -> Say:
        await asyncio.sleep(0.01)
        return Say(json=FOUND.json, usage={"output_tokens": asked.body["max_tokens"]})

    api.on("", every=greedy)
    first = Paying(claude(config=ALONE), limits)
    others = [Paying(claude(config=ALONE), limits) for _ in range(4)]
    for other in others:
        other.bus = first.bus
    await asyncio.gather(*(one.research() for one in (first, *others)), return_exceptions=True)
    ledger = await first.ledger()
    # Their quotes were never read, so they are asked again, which is to write up: the share for that is used, too.
    if limits.max_tokens:
        assert 0.7 * limits.max_tokens < ledger.spent.tokens <= 0.85 * limits.max_tokens
    if limits.max_cost:
        assert 0 < ledger.spent.cost <= 0.85 * limits.max_cost
    assert ledger.holds == ()


async def test_at_the_limit_what_was_read_is_written_up_in_one_turn_without_tools(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: not script.used(asked), SEARCH)
    api.on(lambda asked: asked.body.get("tool_choice") == {"type": "none"}, FOUND)
    paying = Paying(claude(config=SMALL), Limits(max_tokens=24_000), read=36_000)

    answer = await paying.research()

    assert [claim.claim for claim in answer.value.claims] == ["It listens on port 8080."]
    assert answer.shortfall is not None
    assert answer.shortfall.code == "budget"
    assert answer.shortfall.message.startswith("what had been read after 1 calls of tools was written up: the budget is spent")
    assert len(api.asked) == 2
    assert "The budget is nearly spent" in str(api.asked[1].body["messages"][-1])
    assert (await paying.ledger()).spent.tokens <= 24_000


async def test_what_is_too_much_to_be_paid_for_is_written_up_without_its_bulk(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: not script.used(asked), UseTools(Tool("search", query="port"), Tool("search", query="other")))
    api.on(lambda asked: asked.body.get("tool_choice") == {"type": "none"}, FOUND)
    paying = Paying(claude(config=SMALL), Limits(max_tokens=24_000), read=24_000)

    answer = await paying.research()

    assert [claim.claim for claim in answer.value.claims] == ["It listens on port 8080."]
    assert len(api.asked) == 2
    first, second = api.asked[1].results
    assert "port = 8080" in first
    assert "left out" in second


async def test_what_cannot_be_written_up_at_all_is_not_asked_for(api: MessagesApi, claude: Make) -> None:
    api.on(lambda asked: not script.used(asked), SEARCH)
    paying = Paying(claude(config=SMALL), Limits(max_tokens=24_000), read=60_000)
    with pytest.raises(BudgetSpent, match="the budget is spent"):
        await paying.research()
    assert len(api.asked) == 1


async def test_with_nothing_read_there_is_nothing_to_write_up(api: MessagesApi, claude: Make) -> None:
    paying = Paying(claude(), Limits(max_tokens=3_000))
    with pytest.raises(BudgetSpent, match="0 of the 3,000 tokens of the task"):
        await paying.research()
    assert not api.asked
    assert not paying.claude.calls  # what was not made is not metered


async def test_an_answer_that_the_budget_cuts_off_is_no_answer_and_not_asked_for_again(api: MessagesApi, claude: Make) -> None:
    api.on("", CutOff('{"claims": [{"cl'))
    paying = Paying(claude(), Limits(max_tokens=20_000))
    with pytest.raises(BudgetSpent, match="tokens for an answer, and it is longer"):
        await paying.research()
    assert len(api.asked) == 1
    assert api.asked[0].body["max_tokens"] < 14_000


async def test_a_planner_pays_too(api: MessagesApi, claude: Make) -> None:
    paying = Paying(claude("plan"), Limits(max_tokens=2_000))
    with pytest.raises(BudgetSpent):
        await paying.plan()


async def test_a_report_may_use_what_is_kept_for_it(api: MessagesApi, claude: Make) -> None:
    api.on(script.of("weigh"), every=script.weighed)
    api.on(script.of("write"), every=script.written)
    paying = Paying(
        claude("synthesize", config=Config(models={"synthesize": ModelChoice(fallback="", max_tokens=5_000)})),
        Limits(max_tokens=30_000),
    )
    await paying.bus.provision(installation(paying.subjects))
    await paying.bus.swap_key(paying.subjects.budget_bucket, "t1", b'{"spent":{"tokens":20900},"by":"x"}', 0)
    with pytest.raises(BudgetSpent):
        await paying.research()  # nothing is left for that
    evidence = Evidence(digest="0" * 64, span=(0, 11), source="server.ini", locator=Locator(lines=(1, 1)), quote="port = 8080")
    exhibit = Exhibit("1", "It is 8080.", evidence, "s1", 0.9, 0.9)
    step = Prompt("p", "1", "Do it.")
    job = Writing(work=paying.work, exhibits=(exhibit,), prompts=WritingPrompts(step, step, step), hooks=paying.hooks)

    draft = await paying.claude.model.write(job)

    assert draft.shortfall is None
    assert "port = 8080" in draft.value.text
    assert 20_900 < (await paying.ledger()).spent.tokens <= 30_000


@pytest.mark.parametrize(
    ("reply", "error", "counted"),
    [
        (Fault(429), ModelUnavailable, False),
        (Fault(500), ModelUnavailable, False),
        (Raw(b"<html>Log in</html>", type="text/html"), ConcertinoError, False),
        (Break(0), ModelUnavailable, True),
        (Break(4), ModelUnavailable, True),
        (Hang(after=4), ModelUnavailable, True),
    ],
    ids=["throttled", "fails", "a page of a proxy", "no answer", "broken stream", "silence in midstream"],
)
async def test_what_may_be_charged_for_counts_and_what_is_not_does_not(
    api: MessagesApi, claude: Make, reply: Any, error: type[Exception], counted: bool
) -> None:
    api.on("", every=reply)
    paying = Paying(claude(config=SMALL, stall=0.2), Limits(max_tokens=1_000_000))
    with pytest.raises(error):
        await paying.research()
    ledger = await paying.ledger()
    assert ledger.spent == Amount()
    assert len(ledger.holds) == (len(api.asked) if counted else 0)
    assert all(hold.over and hold.amount.tokens > 5_000 for hold in ledger.holds)


async def test_a_connection_that_cannot_be_made_costs_nothing(api: MessagesApi, claude: Make) -> None:
    nowhere = {**api.environment(), "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
    paying = Paying(claude(config=ALONE, environment=nowhere), Limits(max_tokens=100_000))
    with pytest.raises(ModelUnavailable):
        await paying.research()
    assert (await paying.ledger()).holds == ()


async def test_a_refusal_is_paid_for(api: MessagesApi, claude: Make) -> None:
    api.on("", every=Refuse("I would rather not"))
    paying = Paying(claude(config=ALONE), Limits(max_tokens=100_000))
    with pytest.raises(Refused):
        await paying.research()
    ledger = await paying.ledger()
    assert (ledger.spent.tokens, ledger.holds) == (paying.metered.tokens, ())


async def test_a_call_that_is_cancelled_counts_as_it_was_taken(api: MessagesApi, claude: Make) -> None:
    api.on("", Hang(after=3))
    paying = Paying(claude(config=SMALL), Limits(max_tokens=100_000))
    running = asyncio.create_task(paying.research())
    async with asyncio.timeout(10):
        while not api.asked:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with asyncio.timeout(10):
        while not (holds := (await paying.ledger()).holds) or not holds[0].over:
            await asyncio.sleep(0.01)


async def test_a_job_without_a_purse_is_refused_where_the_task_has_a_budget(api: MessagesApi, claude: Make) -> None:
    one = claude()
    job = Research(work=work(limits=Limits(max_cost=1.0)), tools=Toolbox(), hooks=one.hooks)
    with pytest.raises(Refused, match="hooks of its context"):
        await one.model.research(job)
    assert not api.asked


async def test_a_model_without_a_price_is_not_asked_where_dollars_are_limited(api: MessagesApi, claude: Make) -> None:
    config = Config(models={"docs": ModelChoice(model="claude-unheard-of", fallback="")})
    paying = Paying(claude(config=config), Limits(max_cost=1.0))
    with pytest.raises(BudgetSpent, match=r"claude-unheard-of has no price.*\[prices\]"):
        await paying.research()
    assert not api.asked


async def test_waiting_for_others_ends_with_the_time_that_there_is(api: MessagesApi, claude: Make) -> None:
    paying = Paying(claude(), Limits(max_tokens=60_000))
    await paying.bus.provision(installation(paying.subjects))
    held = b'{"holds":[{"id":"x","work":"result.web.other","attempt":1,"delivery":1,"amount":{"tokens":42000}}],"by":"x"}'
    await paying.bus.swap_key(paying.subjects.budget_bucket, "t1", held, 0)
    with pytest.raises((BudgetSpent, DeadlineExceeded)):
        await paying.research()
    assert 50 < sum(paying.claude.pauses) <= 60
    assert not api.asked
