"""What surrounds every handler, one concern per file. The outermost comes first."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from concertino.contracts.messages import Settled
from concertino.worker.job import Job

Next: TypeAlias = Callable[[Job], Coroutine[Any, Any, Settled]]
Middleware: TypeAlias = Callable[[Job, Next], Coroutine[Any, Any, Settled]]
