"""Ctrl-C and its kin, while a question is on its way."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from concertino.contracts.errors import TaskNotFound

CANCELLED, INTERRUPTED = 5, 130


class Interrupts:
    """The first Ctrl-C cancels the task, and its outcome is still waited for; the second leaves at once.

    Before there is a task, the first leaves in order, as SIGTERM and SIGHUP always do. ``status`` is what to exit with. Once
    the answer is out (``answered``), a signal only makes what is left go faster: the exit status is the answer's.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._command = asyncio.current_task()
        self._cancelling: asyncio.Task[None] | None = None
        self._presses = 0
        self.cancel: Callable[[], Awaitable[object]] | None = None
        """How to cancel the task, once there is one."""
        self.at_once: list[Callable[[], None]] = []
        """What has to be done even by those who leave at once."""
        self.answered = False
        self.hurried = False
        """Whether what was left after the answer was ended with force."""
        self.status = 0
        self.error: BaseException | None = None
        """Why the task could not be cancelled."""

    def install(self) -> None:
        """Take the signals, for as long as the event loop runs."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.press)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._leave, 128 + number)

    def press(self) -> None:
        """Ctrl-C."""
        if self.answered:
            self._hurry()
            return
        self._presses += 1
        if self._presses > 1:
            self._hurry()
            os._exit(INTERRUPTED)
        if self.cancel is None:
            self._leave(CANCELLED)
            return
        self._note("cancelling the task; Ctrl-C again leaves at once")
        self._cancelling = asyncio.ensure_future(self._cancel(self.cancel))

    async def _cancel(self, cancel: Callable[[], Awaitable[object]]) -> None:
        try:
            await cancel()
        except TaskNotFound:  # it was not submitted yet
            self.cancel = None
            self._leave(CANCELLED)
        except Exception as e:  # noqa: BLE001  (raised again by the command, which this ends)
            self.error = e
            self._leave(1)

    def _hurry(self) -> None:
        self.hurried = True
        for do in self.at_once:
            do()

    def _leave(self, status: int) -> None:
        if self.answered:
            self._hurry()
            return
        self.status = status
        if self._command:
            self._command.cancel()
