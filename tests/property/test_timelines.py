"""Whatever log there is, it can be told in time: nothing fails, no second is lost, and none is counted twice."""

from __future__ import annotations

from io import StringIO
from typing import Any

import msgspec
import pytest
from core_strategies import settled, tasks
from core_world import TASK
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from rich.cells import cell_len
from rich.console import Console
from test_core_machine import Orchestration

from concertino.cli.show.text import clean
from concertino.cli.show.trace import page, terminal
from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.state import State, fold
from concertino.contracts.subjects import FactName, nth
from concertino.contracts.timeline import Timeline, timeline
from concertino.contracts.view import usage_view

_seconds = st.sampled_from([0.0, 0.25, 1.0, 3.0, 90.0, 1e7, -4.0])
_workers = st.sampled_from(["web-1", "web-2", ""])
_deliveries = st.integers(1, 3)
_usages = st.builds(
    m.Usage, model_calls=st.integers(0, 2), input_tokens=st.integers(0, 99), cost_usd=st.sampled_from([0, 0.25])
)
_of_deliveries = {
    "begun": st.builds(m.Begun, worker=_workers, attempt=_deliveries, seconds=_seconds, hedge=st.booleans()),
    "spent": st.builds(
        m.Spent,
        worker=_workers,
        why=st.sampled_from(["overloaded", "handed back"]),
        attempt=_deliveries,
        seconds=_seconds,
        usage=_usages,
    ),
    "returned": st.builds(m.Returned, worker=_workers),
}


def check(state: State, now: float) -> Timeline:
    """The timeline of ``state``, whose every promise was looked at."""
    found = timeline(state, now)
    assert found.seconds >= 0
    assert len({row.id for row in found.rows}) == len(found.rows)
    for row in found.rows:
        at = row.start
        for part in row.parts:
            assert part.seconds >= 0
            assert part.start == pytest.approx(at, abs=1e-5), f"{row.id}: a gap"
            at = part.start + part.seconds
        assert not row.parts or at == pytest.approx(row.start + row.seconds, abs=1e-5), row.id
        assert 0 <= row.start <= found.seconds + 1e-5
        assert row.critical <= row.seconds + 1e-5
        for part in row.beside:
            assert part.seconds >= 0
            assert 0 <= part.start <= part.start + part.seconds <= found.seconds + 1e-5
    at = 0.0
    for segment in found.path:
        assert segment.seconds > 0
        assert segment.start == pytest.approx(at, abs=1e-5), "a hole in the critical path"
        at = segment.start + segment.seconds
    assert at == pytest.approx(found.seconds, abs=1e-5)
    assert sum(total.critical for total in found.phases.values()) == pytest.approx(found.seconds, abs=1e-4)
    assert sum(kind.rows for kind in found.kinds.values()) == len(found.rows)
    for name in usage_view(m.Usage()).__struct_fields__:
        assert sum(getattr(row.usage, name) for row in found.rows) == pytest.approx(getattr(found.usage, name))
        assert sum(getattr(kind.usage, name) for kind in found.kinds.values()) == pytest.approx(getattr(found.usage, name))
    return found


def drawn(found: Timeline) -> None:
    """It can be shown, and no line is wider than the window, and nothing in it moves a cursor."""
    for width, plain in ((80, False), (40, True)):
        console = Console(file=StringIO(), width=width, highlight=False, markup=False, emoji=False)
        for part in terminal(found, width, plain=plain, room=3 if plain else None):
            console.print(part)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert clean(text) == text
        assert max(cell_len(line) for line in text.splitlines()) <= width
    assert page(found).endswith("</html>\n")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Timeline) == found


class Watched(Orchestration):
    """The world of the core, whose workers take time, try again, hand back and die, and somebody who looks."""

    @rule(data=st.data(), type_=st.sampled_from(sorted(_of_deliveries)), delivery=_deliveries)
    @precondition(lambda self: self.world.enqueued)
    def a_delivery_is_told_of(self, data: st.DataObject, type_: str, delivery: int) -> None:
        work = self.world.enqueued[data.draw(st.sampled_from(sorted(self.world.enqueued)))]
        self.world.write(f"{type_}.{work.id}.{nth(work.attempt, delivery)}", data.draw(_of_deliveries[type_]))

    @rule(data=st.data(), seconds=_seconds, attempts=_deliveries, worker=_workers)
    @precondition(lambda self: self.world.queue)
    def slow_work(self, data: st.DataObject, seconds: float, attempts: int, worker: str) -> None:
        work = self.world.queue.pop(data.draw(st.sampled_from(sorted(self.world.queue))))
        done = data.draw(settled(work))
        self.world.write(
            work.id, msgspec.structs.replace(done, seconds=seconds, attempts=attempts, worker=worker, hedge=work.attempt > 1)
        )

    @rule(skew=st.sampled_from([-30.0, 0.0, 700.0]), expired=st.sampled_from([0, 0, 1, 4]))
    def somebody_asks_where_the_time_went(self, skew: float, expired: int) -> None:
        state = fold(TASK, self.world.log[expired:])
        found = check(state, self.world.now + skew)
        subtasks = [subtask.work_id for subtask in state.subtasks]
        if state.submitted and len(subtasks) == len(set(subtasks)):
            assert found.usage == usage_view(state.usage)

    def teardown(self) -> None:
        super().teardown()
        if self.world.log:
            drawn(check(self.world.state, self.world.now))


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
class TestWatched(Watched.TestCase):  # type: ignore[misc]
    settings = settings(
        max_examples=50,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
        phases=set(Phase) - {Phase.explain},
    )


_HOSTILE = "\x1b]0;gone\x07\x1b[2J<script>alert(1)</script>\u202e&amp;\r\n"
_names = st.sampled_from(
    ["plan.0", "plan.1", "result.web.s1", "result.web.s2", "result.x", "synthesis.0", f"result.web.{_HOSTILE}", ""]
)


@st.composite
def strange_facts(draw: st.DrawFn) -> list[Fact]:
    """Facts of every type about anything, at any time: what a newer release, a broken disk or an enemy may have left."""
    subtasks = tuple(
        m.Subtask(
            id=id_, kind="web", objective=_HOSTILE, depends_on=draw(st.sampled_from([(), ("s2",), ("s1", "s2"), ("ghost",)]))
        )
        for id_ in ("s1", "s2")
    )
    error = m.Failure(code=draw(st.sampled_from(["abandoned", "bug"])), message=_HOSTILE)
    every: dict[str, st.SearchStrategy[Any]] = {
        "submitted": tasks,
        "plan.0": st.builds(m.Planned, plan=st.just(m.Plan(subtasks=subtasks)), seconds=_seconds),
        "plan.3": st.builds(m.Planned, seconds=_seconds, usage=_usages),
        "dispatched.0": st.builds(m.Dispatched, work=st.lists(st.tuples(_names, st.just(1)), max_size=4).map(tuple)),
        "dispatched.2": st.builds(m.Dispatched, work=st.lists(st.tuples(_names, st.just(2)), max_size=4).map(tuple)),
        "result.web.s1": st.builds(
            m.Result, seconds=_seconds, error=st.sampled_from([None, error]), attempts=st.integers(-1, 5)
        ),
        "result.web.s2": st.builds(m.Result, seconds=_seconds, usage=_usages, worker=_workers, hedge=st.booleans()),
        "synthesis.0": st.builds(m.Synthesized, seconds=_seconds, usage=_usages),
        "cancel": st.just(m.Cancel(reason=_HOSTILE)),
        "outcome": st.just(m.Outcome(status=m.OutcomeStatus.FAILED, reason=_HOSTILE)),
    }
    for work in ("plan.0", "result.web.s1", "result.web.gone", f"result.{_HOSTILE}"):
        for type_, of in _of_deliveries.items():
            every[f"{type_}.{work}.{draw(st.sampled_from(['1', '2', '2-1', 'x', '٣']))}"] = of
    facts = []
    for name in draw(st.lists(st.sampled_from(sorted(every)), unique=True, max_size=len(every))):
        type_, _, about = name.partition(".")
        time = 1e9 + draw(st.sampled_from([0.0, 0.5, 1.0, 7.25, 30.0, 1e5, -60.0]))
        facts.append(Fact(FactName(type_, about), draw(every[name]), len(facts) + 1, time))
    return facts


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=set(Phase) - {Phase.explain})
@given(facts=strange_facts(), now=st.sampled_from([0.0, 1e9, 1e9 + 5, 1e9 + 2e5]))
def test_any_log_can_be_told(facts: list[Fact], now: float) -> None:
    found = check(fold(TASK, facts), now)
    drawn(found)
    assert "<script" not in page(found)
