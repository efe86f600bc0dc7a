"""What surrounds every handler, one concern per file. The outermost comes first."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from concertino.contracts.messages import Settled
from concertino.worker.job import Job

Next: TypeAlias = Callable[[Job], Awaitable[Settled]]
Middleware: TypeAlias = Callable[[Job, Next], Awaitable[Settled]]
