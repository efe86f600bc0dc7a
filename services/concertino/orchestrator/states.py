"""What is known of tasks: their logs folded, as far as they were read. A cache: what is forgotten is read again."""

from __future__ import annotations

from collections import OrderedDict

from concertino.contracts.state import State

REMEMBERED = 5_000
"""Tasks whose state is kept between triggers."""


class States:
    """The states of the tasks that were asked for last."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, State] = OrderedDict()
        self._faults: OrderedDict[str, int] = OrderedDict()

    def seen(self, task: str) -> State | None:
        """What is known of ``task``, if it is remembered."""
        return self._states.get(task)

    def of(self, task: str) -> State:
        """What is known of ``task``, be it nothing; remembered from now on."""
        state = self._states.get(task) or State(task)
        self.remember(state)
        return state

    def remember(self, state: State) -> None:
        """Keep ``state``, and forget what was not asked for the longest. (Who works on that has it, and the log has it too.)"""
        self._states[state.task] = state
        self._states.move_to_end(state.task)
        while len(self._states) > REMEMBERED:
            self._states.popitem(last=False)

    def forget(self, task: str) -> None:
        """Have all of ``task`` read again."""
        self._states.pop(task, None)

    def failed(self, task: str) -> int:
        """``task`` made us fail: have all of it read again. Returns how often it did since it last did not, with this replica:
        how often its facts were delivered says more of those who had them before."""
        self.forget(task)
        self._faults[task] = times = self._faults.pop(task, 0) + 1
        while len(self._faults) > REMEMBERED:
            self._faults.popitem(last=False)
        return times

    def succeeded(self, task: str) -> None:
        """Nothing counts any more that ``task`` made fail before."""
        self._faults.pop(task, None)
