"""Slow work from the coordinators' side: timers, what is sent again, what is said to whoever lost, and what is counted."""

from __future__ import annotations

import pytest
from orchestra import Faulty, Orchestra, brought, good_work, subtask

from concertino.contracts.errors import BusUnavailable
from concertino.contracts.messages import Begun, Dispatched, Result, Settled, Work
from concertino.orchestrator.stragglers import Stragglers, parse
from kit.counted import Counted
from kit.inbox import Heard
from kit.waiting import until

A = "result.web.a"
UNDER_WAY = Begun(worker="w1", seconds=1.0, hedge=True)


def slow(work: Work) -> Settled | None:
    """Of work of the web nothing is heard any more."""
    return None if work.brief.kind == "web" else good_work(work)


async def under_way(orchestra: Orchestra, rule: str = "5", replicas: int = 2, deadline: float = 100.0) -> None:
    """A subtask whose worker has said that it goes on."""
    await orchestra.play(slow)
    for _ in range(replicas):
        await orchestra.conduct(stragglers=Stragglers(parse(rule)))
    await orchestra.submit("t", brought(subtask("a"), deadline=deadline))
    await until(lambda: orchestra.delivered == [f"t.{A}.1"])
    await orchestra.quiet()
    await orchestra.write("t", f"begun.{A}.1", UNDER_WAY)
    await orchestra.quiet()


async def test_the_server_s_timer_wakes_whoever_sends_it_again(orchestra: Orchestra) -> None:
    counted = Counted()
    await under_way(orchestra)
    [timer] = [name for name in await orchestra.names("t") if name.startswith("timer.hedge-")]
    await orchestra.advance(4.5)
    await orchestra.quiet()
    assert orchestra.delivered == [f"t.{A}.1"]
    await orchestra.advance(1.0)
    await until(lambda: orchestra.delivered == [f"t.{A}.1", f"t.{A}.2"], "it is sent again")
    await orchestra.quiet()
    state = await orchestra.state("t")
    assert timer.removeprefix("timer.") in state.due
    assert [d.work for _, d in sorted(state.dispatched.items())] == [((A, 1),), ((A, 2),)]
    assert state.dispatched[1].hedge_after == {"web": 5.0}
    assert counted("concertino_hedges_total", kind="web") == 1


@pytest.mark.parametrize("hedge", [True, False])
async def test_whoever_loses_is_told_and_it_counts_once(orchestra: Orchestra, hedge: bool) -> None:
    counted = Counted()
    told = Heard()
    await under_way(orchestra)
    await orchestra.buses[0].subscribe(orchestra.subjects.signal("t", A), told)
    await orchestra.advance(5)
    await until(lambda: len(orchestra.delivered) == 2)
    await orchestra.quiet()
    await orchestra.write("t", A, Result(hedge=hedge, seconds=1.0))
    assert (await orchestra.outcome("t")).status in ("answered", "partial")
    await until(lambda: len(told.messages) >= 1, "the loser is told")
    await orchestra.quiet()
    assert not [name for name in await orchestra.timers("t") if ".timer." in name]
    assert counted("concertino_hedges_ended_total", kind="web", hedge="won") == hedge
    assert counted("concertino_hedges_ended_total", kind="web", hedge="lost") == (not hedge)


async def test_what_is_not_hedged_is_not_signalled(orchestra: Orchestra) -> None:
    told = Heard()
    await under_way(orchestra)
    await orchestra.buses[0].subscribe(orchestra.subjects.signal("t", A), told)
    await orchestra.write("t", A, Result())
    await orchestra.outcome("t")
    await orchestra.quiet()
    assert told.messages == []


async def test_a_signal_that_cannot_be_said_is_said_when_it_can(orchestra: Orchestra) -> None:
    failures = 0
    told = Heard()

    def fault(call: str, about: str) -> None:
        nonlocal failures
        if call == "publish" and about.endswith(A) and failures < 2:
            failures += 1
            raise BusUnavailable("away")

    await orchestra.play(slow)
    await orchestra.conduct(lambda bus: Faulty(bus, fault), stragglers=Stragglers(parse("5")))
    await orchestra.submit("t", brought(subtask("a")))
    await until(lambda: orchestra.delivered == [f"t.{A}.1"])
    await orchestra.write("t", f"begun.{A}.1", UNDER_WAY)
    await orchestra.quiet()
    await orchestra.advance(5)
    await until(lambda: len(orchestra.delivered) == 2)
    await orchestra.quiet()
    await orchestra.buses[0].subscribe(orchestra.subjects.signal("t", A), told)
    await orchestra.write("t", A, Result(hedge=True))
    await orchestra.outcome("t", within=10)
    await until(lambda: len(told.messages) >= 1)
    assert failures == 2


async def test_a_coordinator_that_dies_between_queue_and_log_sends_nothing_twice(orchestra: Orchestra) -> None:
    died = False

    def fault(call: str, about: str) -> None:
        nonlocal died
        if call == "write_once" and about.endswith("dispatched.2") and not died:
            died = True
            raise BusUnavailable("it dies here")

    await orchestra.play(slow)
    await orchestra.conduct(lambda bus: Faulty(bus, fault), stragglers=Stragglers(parse("5")))
    await orchestra.submit("t", brought(subtask("a")))
    await until(lambda: orchestra.delivered == [f"t.{A}.1"])
    await orchestra.write("t", f"begun.{A}.1", UNDER_WAY)
    await orchestra.quiet()
    await orchestra.advance(5)
    await until(lambda: len(orchestra.delivered) == 2)
    assert died

    async def again() -> bool:
        await orchestra.advance(0.5)
        return 2 in (await orchestra.state("t")).dispatched

    await until(again)
    await orchestra.quiet()
    assert orchestra.delivered == [f"t.{A}.1", f"t.{A}.2"]


async def test_hedges_of_another_replica_count_too(orchestra: Orchestra) -> None:
    first, second = Stragglers(parse("5")), Stragglers(parse("5"))
    await orchestra.play(slow)
    hedging = await orchestra.conduct(stragglers=first)
    await orchestra.submit("t", brought(subtask("a")))
    await until(lambda: orchestra.delivered == [f"t.{A}.1"])
    await orchestra.write("t", f"begun.{A}.1", UNDER_WAY)
    await orchestra.quiet()
    await orchestra.advance(5)
    await until(lambda: len(orchestra.delivered) == 2)
    await orchestra.quiet()
    await hedging.stop()
    await orchestra.conduct(stragglers=second)
    await orchestra.write("t", A, Result(hedge=True, seconds=1.0))
    await orchestra.outcome("t")
    assert [known.hedging(["web"]).left for known in (first, second)] == [{"web": 0}, {"web": 0}]


async def test_what_processes_loaded_first_teaches_nothing(orchestra: Orchestra) -> None:
    def loading(work: Work) -> Settled:
        found = good_work(work)
        return Result(seconds=40.0, cold=work.brief.id == "cold") if isinstance(found, Result) else found

    stragglers = Stragglers(parse("5"))
    await orchestra.play(loading)
    await orchestra.conduct(stragglers=stragglers)
    await orchestra.submit("t", brought(subtask("cold"), *(subtask(f"s{i}") for i in range(19))))
    await orchestra.outcome("t")
    assert stragglers.hedging(["web"]).left == {"web": 4}  # one that is free, and a fifth for each of nineteen


async def test_results_teach_what_is_slow(orchestra: Orchestra) -> None:
    def quick(work: Work) -> Settled:
        found = good_work(work)
        return Result(seconds=4.0) if isinstance(found, Result) else found

    await orchestra.play(quick)
    await orchestra.conduct(stragglers=Stragglers(parse("auto")))
    await orchestra.submit("first", brought(*(subtask(f"s{i}") for i in range(30))))
    await orchestra.outcome("first")
    await orchestra.submit("t", brought(subtask("a")))
    await orchestra.outcome("t")
    dispatched = (await orchestra.state("t")).dispatched[1]
    assert dispatched == Dispatched(work=((A, 1),), hedge_after={"web": 4.0})
    assert (await orchestra.state("first")).dispatched[1].hedge_after == {}
