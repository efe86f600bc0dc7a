"""Ends a handler when its result comes too late to be of use."""

from __future__ import annotations

from msgspec import structs

from concertino.contracts.errors import ConcertinoError
from concertino.contracts.messages import Settled
from concertino.runtime.clock import Clock
from concertino.worker.alarms import Alarms
from concertino.worker.job import Job
from concertino.worker.middleware import Middleware, Next


class TooLate(ConcertinoError):
    """The time of this piece of work is up. Give the task a later deadline, or ask for less."""

    code = "deadline"


def deadline(clock: Clock) -> Middleware:
    """Raise :class:`TooLate` at ``work.deadline``, or when the time is up that its brief allows. Not retryable: it would be as
    late again."""

    alarms = Alarms()

    async def middleware(job: Job, next_: Next) -> Settled:
        up = "its time was up"
        most, since = job.work.brief.max_seconds, clock() if job.since is None else job.since
        if most is not None and since + most < job.work.deadline:
            up = f"the {most:g} s that it may take (max_seconds) were up"
            job.work = job.context.work = structs.replace(job.work, deadline=since + most)
        left = job.work.deadline - clock()
        if left <= 0:
            raise TooLate(f"{up} while it waited in its queue")
        try:
            with alarms.after(left) as alarm:
                job.alarm = alarm
                return await next_(job)
        except TimeoutError as e:
            if not alarm.rang:
                raise
            job.context.cancelled = True
            if job.context.finishing:
                up = "the caller asked to finish, and the time to write up was over"
            doing = f", while this went on: {job.context.doing}" if job.context.doing else ""
            setback = f"; before that, {job.context.setback}" if job.context.setback else ""
            raise TooLate(f"{up} before it was done{doing}{setback}") from e
        finally:
            job.alarm = None

    return middleware
