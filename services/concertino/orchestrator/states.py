"""What is known of tasks: their logs folded, as far as they were read. A cache: what is forgotten is read again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from concertino.contracts.state import State

T = TypeVar("T")

REMEMBERED = 5_000
"""Tasks whose state is kept between triggers."""


class States:
    """The states of the tasks that were asked for last."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, State] = OrderedDict()
        self._faults: OrderedDict[str, int] = OrderedDict()
        self._done: OrderedDict[str, int] = OrderedDict()
        self._begun: OrderedDict[str, int] = OrderedDict()
        self._newest = 0

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
        _keep(self._states, state.task, state)

    def forget(self, task: str) -> None:
        """Have all of ``task`` read again."""
        self._states.pop(task, None)

    def begins(self, task: str, sequence: int) -> None:
        """``task`` was submitted at ``sequence``: what is known of another under its name, the log no longer has."""
        if self._begun.get(task) != sequence:
            self.forget(task)
            self._done.pop(task, None)
            _keep(self._begun, task, sequence)

    def comes(self, sequence: int) -> None:
        """What stands at ``sequence`` was delivered for the first time. The server does that in the order of the log: one that
        stands before the last is of a log that was made anew, of which nothing is known."""
        if sequence < self._newest:
            self._states.clear()
            self._done.clear()
            self._begun.clear()
        self._newest = sequence

    def failed(self, task: str) -> int:
        """``task`` made us fail: have all of it read again. Returns how often it did since it last did not, with this replica:
        how often its facts were delivered says more of those who had them before."""
        self.forget(task)
        times = self._faults.get(task, 0) + 1
        _keep(self._faults, task, times)
        return times

    def succeeded(self, task: str) -> None:
        """Nothing counts any more that ``task`` made fail before."""
        self._faults.pop(task, None)

    def done(self, task: str) -> int:
        """The sequence in the log up to which all that follows from facts of ``task`` is done, as far as that is remembered."""
        return self._done.get(task, 0)

    def did(self, task: str, sequence: int) -> None:
        """All that follows from facts of ``task`` up to ``sequence`` is done, whoever did it: that stays true."""
        _keep(self._done, task, max(sequence, self.done(task)))

    def forget_those(self, others: Callable[[str], object]) -> None:
        """Have all tasks for which ``others`` is true read again, if they ever are."""
        for task in [task for task in self._states if others(task)]:
            self.forget(task)


def _keep(kept: OrderedDict[str, T], task: str, value: T) -> None:
    """Keep ``value``, and no more than :data:`REMEMBERED` of them."""
    kept[task] = value
    kept.move_to_end(task)
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
