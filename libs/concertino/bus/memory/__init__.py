"""The bus in one process: the twin of JetStream, for tests of ours and of whoever writes a worker.

>>> import asyncio
>>> from concertino.bus.memory import MemoryBus
>>> from concertino.bus.topology import installation
>>> from concertino.contracts.subjects import Subjects
>>> async def twice(bus: MemoryBus) -> list[int | None]:
...     await bus.provision(installation(Subjects()))
...     return [await bus.write_once("ctn.task.t1.submitted", b"{}") for _ in range(2)]
>>> asyncio.run(twice(MemoryBus()))
[1, None]
"""

from concertino.bus.memory.bus import MemoryBus
from concertino.bus.memory.server import MemoryServer

__all__ = ["MemoryBus", "MemoryServer"]
