"""Any Python service submits a task and awaits its report: ``python examples/submit.py REQUEST FOLDER``."""

import asyncio
import sys
from pathlib import Path

from concertino.client import Client, Source


async def main(request: str, folder: str) -> None:
    async with Client() as client:
        task = await client.ask(request, sources=[Source(kind="code", location=str(Path(folder).resolve()))])
    print(task.report.text if task.report else task.reason)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
