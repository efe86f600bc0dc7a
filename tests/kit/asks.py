"""A worker that does nothing but ask its model once. ``--alone``: without asking others for its turn."""

import sys

from msgspec import structs

from concertino.contracts.messages import Subtask
from concertino.model.port import Answer, Findings
from concertino.worker import Context, Worker

worker = Worker("asks", "Asks its model. For tests.", slots=10)


@worker.handle
async def ask(_: Subtask, context: Context) -> Answer[Findings]:
    if "--alone" in sys.argv:
        context.hooks = structs.replace(context.hooks, limiter=None)
    return await context.research("You answer.")


if __name__ == "__main__":
    worker.run()
