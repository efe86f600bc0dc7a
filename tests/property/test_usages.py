"""What workers say they spent, be it what it may: what the task spent can be read."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from concertino.contracts.codec import decode, encode
from concertino.contracts.facts import read_fact
from concertino.contracts.messages import MOST, Outcome, OutcomeStatus, Plan, Planned, Result, Subtask, Usage
from concertino.contracts.state import fold
from concertino.contracts.subjects import FactName
from concertino.contracts.view import view

_FIELDS = Usage.__struct_fields__
_numbers = st.one_of(
    st.integers(0, 100),
    st.integers(-(10**40), 10**40),
    st.sampled_from([MOST, MOST + 1, -1]),
    st.floats(allow_nan=False, allow_infinity=False),
)
_usages = st.dictionaries(st.sampled_from(_FIELDS), _numbers, max_size=3)


def _within(said: dict[str, float]) -> bool:
    whole = all(isinstance(value, int) for name, value in said.items() if name != "cost_usd")
    return whole and all(0 <= value <= MOST for value in said.values())


@given(st.lists(st.tuples(_usages, st.one_of(st.just(1.0), _numbers)), min_size=1, max_size=4))
@example([({"cost_usd": 1e308}, 1.0), ({"cost_usd": 1e308}, 1.0)])
@example([({"cost_usd": MOST, "input_tokens": MOST}, 1.0), ({"cost_usd": MOST, "input_tokens": MOST}, 1.0)])
@example([({"model_calls": -1}, 1.0), ({"model_calls": 1}, -0.5)])
def test_no_worker_makes_an_outcome_that_cannot_be_read(said: list[tuple[dict[str, float], float]]) -> None:
    subtasks = tuple(Subtask(id=f"s{i}", kind="web", objective="look") for i in range(len(said)))
    facts = [read_fact(FactName("plan", "0"), encode(Planned(plan=Plan(subtasks=subtasks))), {}, 1, 0.0)]
    for i, (usage, seconds) in enumerate(said):
        data = json.dumps({"usage": usage, "spent": {"a": usage}, "seconds": seconds}).encode()
        fact = read_fact(FactName("result", f"web.s{i}"), data, {}, i + 2, 0.0)
        assert isinstance(fact.message, Result)
        fits = _within(usage) and 0 <= seconds <= MOST
        assert (fact.message.error is None) == fits  # what does not is no result, and says so
        assert fits or "seconds" in str(fact.message.error) or any(name in str(fact.message.error) for name in usage)
        facts.append(fact)

    state = fold("t1", facts)
    outcome = Outcome(status=OutcomeStatus.ANSWERED, reason="done", usage=state.usage)

    assert decode(Outcome, encode(outcome)) == outcome
    assert _within({name: getattr(outcome.usage, name) for name in _FIELDS})
    assert b"null" not in json.dumps(json.loads(view(state).to_json())["by_model"]).encode()
