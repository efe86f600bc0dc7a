"""Calls that wait for the provider's rate limit, through the real SDK: each has its turn, and no refusal becomes a storm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from concertino.bus.memory import MemoryBus
from concertino.bus.topology import installation
from concertino.contracts.codec import decode, encode
from concertino.contracts.errors import BudgetSpent, DeadlineExceeded, ModelUnavailable, RateLimited
from concertino.contracts.messages import Limits, Locator, Passage, Work
from concertino.contracts.rates import PROBES, Rates
from concertino.contracts.subjects import Subjects
from concertino.model.observation import Checked, Observation
from concertino.model.port import Answer, Findings, Prompt, Research
from concertino.runtime.config import Config, ModelChoice
from concertino.testing import Asked, Fault, MessagesApi, Say, Tool, UseTools
from concertino.worker import limiter
from concertino.worker.evidence import EvidenceLog
from concertino.worker.limiter import PATIENCE, Limiter, Shared
from concertino.worker.purse import Purse
from concertino.worker.tools import Toolbox
from concertino.worker.waits import Waits
from kit import script
from kit.claude import NOW, Claude, work
from kit.keeping import Keeping

Make = Callable[..., Claude]

MODEL = "claude-sonnet-5-5"
PORT = Passage(source="conf/server.ini", text="port = 8080", locator=Locator(lines=(1, 1)))
FOUND = script.findings(script.claim("It listens on port 8080.", ("conf/server.ini", "port = 8080")))
SEARCH = UseTools(Tool("search", query="port"))
PATIENT = 200.0
"""Seconds of the machine, not of the test: nothing waits for them to pass."""
ALONE = Config(models={"docs": ModelChoice(fallback="")})


class Sharing:
    """Jobs of one process that share what is known of the limit."""

    def __init__(self, claude: Claude, bus: MemoryBus | None = None) -> None:
        self.claude, self.bus, self.subjects = claude, bus or MemoryBus(), Subjects()
        self.waits = Waits(lambda: claude.now)
        self.shared = Shared(self.bus, self.subjects)
        self.work: Work = work()

    async def knows(self, **state: Any) -> None:
        await self.bus.provision(installation(self.subjects))
        await self.bus.put_key(self.subjects.rates_bucket, MODEL, encode(Rates(at=NOW, by="test", **state)))

    async def state(self) -> Rates:
        await self.shared.close()
        entry = await self.bus.get_key(self.subjects.rates_bucket, MODEL)
        assert entry.value
        return decode(Rates, entry.value)

    async def search(self, query: str) -> list[Passage]:
        """Finds passages."""
        return [PORT]

    async def check(self) -> Checked:
        """Checks the port."""
        return Checked("port", (Observation("port", "It listens on port 8080.", "low", 0.9, (PORT,), ""),))

    async def research(self, **hooks: Any) -> Answer[Findings]:
        log = EvidenceLog(MemoryBus(), "docs")
        box = Toolbox(on_seen=log.saw)
        box.add(self.search, self.check)
        limiter = Limiter(self.shared, "docs", self.waits)
        hooks_ = structs.replace(self.claude.hooks, **{"limiter": limiter, **hooks})
        prompt = Prompt("research", "7", "You research.")
        return await self.claude.model.research(
            Research(work=self.work, tools=box, prompt=prompt, check=log.problems, hooks=hooks_)
        )


async def test_a_call_waits_for_its_turn_and_says_so(api: MessagesApi, claude: Make) -> None:
    api.on("", SEARCH, FOUND)
    sharing = Sharing(claude())
    await sharing.knows(stopped=NOW + 3, refusals=1, status=429)
    answer = await sharing.research()
    assert answer.shortfall is None
    assert sum(sharing.claude.pauses) == pytest.approx(3, abs=1)
    assert sharing.claude.progress[0] == "waiting for the provider's rate limit"
    assert sharing.waits.seconds == pytest.approx(sum(sharing.claude.pauses))
    assert (await sharing.state()).refusals == 0


async def test_what_would_wait_for_long_is_given_back_before_anything_is_asked(api: MessagesApi, claude: Make) -> None:
    sharing = Sharing(claude())
    await sharing.knows(stopped=NOW + 20, refusals=1, status=529)
    with pytest.raises(RateLimited, match=r"overloaded \(HTTP 529\): its next turn is in 20 s") as caught:
        await sharing.research()
    assert caught.value.after == pytest.approx(20, abs=1)
    assert (api.asked, sharing.claude.calls, sharing.claude.pauses) == ([], [], [])
    assert (await sharing.state()).knocks == ()


async def test_no_money_is_held_by_what_waits(api: MessagesApi, claude: Make) -> None:
    sharing = Sharing(claude())
    await sharing.knows(stopped=NOW + 20, refusals=1)
    sharing.work = work(limits=Limits(max_tokens=100_000))
    with pytest.raises(RateLimited):
        await sharing.research(purse=Purse(sharing.bus, sharing.subjects, sharing.work, 1))
    assert (await sharing.bus.get_key(sharing.subjects.budget_bucket, "t1")).value is None


async def test_what_cannot_be_paid_for_leaves_its_turn_to_others(api: MessagesApi, claude: Make) -> None:
    sharing = Sharing(claude())
    await sharing.knows()
    sharing.work = work(limits=Limits(max_tokens=1_000))
    with pytest.raises(BudgetSpent):
        await sharing.research(purse=Purse(sharing.bus, sharing.subjects, sharing.work, 1))
    assert (await sharing.state()).knocks == ()


async def test_who_has_begun_waits_in_its_place(api: MessagesApi, claude: Make) -> None:
    """What it has read would have to be read again."""
    sharing = Sharing(claude())

    async def search_then_stop(_: Asked) -> UseTools:
        await sharing.shared.change(MODEL, lambda s: (structs.replace(s, stopped=NOW + 40, status=429), None))
        return SEARCH

    api.on("", search_then_stop, FOUND)
    await sharing.knows()
    answer = await sharing.research()
    assert answer.value.claims
    assert sum(sharing.claude.pauses) == pytest.approx(40, abs=1)
    assert sum(sharing.claude.pauses) > PATIENCE["work"]


@pytest.mark.parametrize("looks", [SEARCH, UseTools(Tool("check"))])
async def test_what_others_can_go_on_with_is_given_back_in_the_middle_and_no_turn_is_asked_again(
    api: MessagesApi, claude: Make, looks: UseTools
) -> None:
    sharing, keeping = Sharing(claude()), Keeping()

    async def search_then_stop(_: Asked) -> UseTools:
        await sharing.shared.change(MODEL, lambda s: (structs.replace(s, stopped=NOW + 40, status=429), None))
        return looks

    api.on("", search_then_stop, FOUND)
    await sharing.knows()
    first = await keeping.delivery()
    with pytest.raises(RateLimited, match=r"its next turn is in 40 s") as caught:
        await sharing.research(journal=first)
    assert caught.value.after == pytest.approx(40, abs=1)
    await first.close("handed_back")
    assert (sharing.claude.pauses, (await sharing.state()).knocks) == ([], ())

    sharing.claude.now += 41
    answer = await sharing.research(journal=await keeping.delivery())
    assert (answer.shortfall, len(answer.value.claims)) == (None, 1)
    assert [asked.turns for asked in api.asked] == [0, 1]


async def test_what_is_being_written_up_is_not_given_back(api: MessagesApi, claude: Make) -> None:
    sharing, keeping = Sharing(claude()), Keeping()

    async def unread_then_stop(_: Asked) -> Say:
        await sharing.shared.change(MODEL, lambda s: (structs.replace(s, stopped=NOW + 40, status=429), None))
        return FOUND  # quotes what it has not read, and is told so

    api.on("", unread_then_stop, script.findings(gaps=["the port"]))
    await sharing.knows()
    answer = await sharing.research(journal=await keeping.delivery())
    assert answer.value.gaps == ("the port",)
    assert sum(sharing.claude.pauses) == pytest.approx(40, abs=1)


async def test_it_does_not_wait_past_its_time(api: MessagesApi, claude: Make) -> None:
    sharing = Sharing(claude())
    sharing.work = work(seconds=30)
    await sharing.knows(stopped=NOW + 25, refusals=1, status=429)
    with pytest.raises(DeadlineExceeded, match=r"limits the rate \(HTTP 429\)"):
        await sharing.research()
    assert sharing.claude.pauses == []


@pytest.mark.parametrize("status", [429, 529])
async def test_of_many_who_are_refused_one_asks_again(
    api: MessagesApi, claude: Make, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty jobs in four processes, and a provider that takes nothing for ten seconds."""
    monkeypatch.setattr(limiter, "_ANSWER", PATIENT)  # none of them goes on alone, however busy the machine is
    at_once = most = 0
    times: list[float] = []
    first = claude(config=ALONE)

    async def answer(_: Asked) -> Fault | Say:
        nonlocal at_once, most
        at_once += 1
        if first.now > NOW:
            most = max(most, at_once)
        times.append(first.now)
        for _ in range(20):
            await asyncio.sleep(0.001)
        at_once -= 1
        return Say(json={"claims": [], "gaps": ["none"]}) if first.now > NOW + 10 else Fault(status)

    api.on("", every=answer)
    bus = MemoryBus()
    processes = [Sharing(first, bus) for _ in range(4)]
    await processes[0].knows(width=20.0)

    async def persistently(sharing: Sharing) -> None:
        while True:
            try:
                await sharing.research()
            except (RateLimited, ModelUnavailable):
                sharing.claude.now = max(sharing.claude.now, NOW + 1) + 0.01
                await asyncio.sleep(0.001)
            else:
                return

    async with asyncio.timeout(PATIENT):
        await asyncio.gather(*(persistently(processes[number % 4]) for number in range(20)))
    refused = len(times) - 20
    assert refused <= 20 + 2 * PROBES
    assert sum(at > NOW and at <= NOW + 10 for at in times) <= 2 * PROBES
    assert most <= 20


async def test_a_provider_that_refuses_for_long_is_away_and_the_fallback_is_asked(api: MessagesApi, claude: Make) -> None:
    api.on("", SEARCH, FOUND)
    sharing = Sharing(claude())
    await sharing.knows(stopped=NOW + 16, refusals=PROBES, status=429)
    answer = await sharing.research()
    assert answer.model == "claude-sonnet-5"
    assert {asked.model for asked in api.asked} == {"claude-sonnet-5"}
    assert sharing.claude.pauses == []


async def test_without_a_fallback_it_is_as_with_a_model_that_is_away(api: MessagesApi, claude: Make) -> None:
    sharing = Sharing(claude(config=ALONE))
    await sharing.knows(stopped=NOW + 16, refusals=PROBES, status=529)
    with pytest.raises(ModelUnavailable, match=r"overloaded \(HTTP 529\).*refused every call of late") as caught:
        await sharing.research()
    assert caught.value.after == pytest.approx(16, abs=1)


async def test_a_refusal_in_midstream_is_one_too(api: MessagesApi, claude: Make) -> None:
    api.on("", Fault(429, midstream=True), FOUND)
    sharing = Sharing(claude())
    await sharing.knows()
    await sharing.research()
    state = await sharing.state()
    assert (state.stops, state.refusals) == (1, 0)
    # It waits like all others, and not for itself: that would be taken for work.
    assert sharing.waits.seconds == pytest.approx(sum(sharing.claude.pauses))
    assert sharing.waits.seconds >= 1


@pytest.mark.parametrize("midstream", [False, True])
async def test_one_that_is_turned_away_as_the_provider_is_overloaded_waits_for_itself(
    api: MessagesApi, claude: Make, midstream: bool
) -> None:
    api.on("", Fault(529, midstream=midstream), SEARCH, FOUND)
    sharing = Sharing(claude())
    await sharing.knows(width=20.0)
    answer = await sharing.research()
    assert answer.shortfall is None
    state = await sharing.state()
    assert (state.stops, state.stopped, state.width >= 20.0) == (0, 0.0, True)
    assert 0.5 <= sum(sharing.claude.pauses) <= 1
    assert sharing.waits.seconds == 0


async def test_faults_of_other_kinds_leave_no_trace(api: MessagesApi, claude: Make) -> None:
    api.on("", Fault(500), SEARCH, FOUND)
    sharing = Sharing(claude())
    await sharing.knows()
    await sharing.research()
    state = await sharing.state()
    assert (state.stops, state.refusals, state.knocks) == (0, 0, ())


async def test_who_is_interrupted_while_waiting_holds_nobody_back(api: MessagesApi, claude: Make) -> None:
    sharing = Sharing(claude())
    await sharing.knows(stopped=NOW + 4, refusals=1)
    waiting = asyncio.Event()

    async def told(_: str) -> None:
        waiting.set()
        await asyncio.Event().wait()

    job = asyncio.create_task(sharing.research(progress=told))
    await waiting.wait()
    assert len((await sharing.state()).knocks) == 1
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await sharing.state()).knocks == ()
