"""The same with nothing but a NATS client and JSON: ``python examples/raw_nats.py REQUEST FOLDER``."""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import nats


async def main(request: str, folder: str) -> None:
    nc = await nats.connect(os.environ.get("CTN_NATS_URL", "nats://127.0.0.1:4222"))
    js = nc.jetstream()
    task = f"ctn.task.{uuid.uuid4().hex}"
    submitted = {"request": request, "sources": [{"kind": "code", "location": str(Path(folder).resolve())}]}
    # The server refuses a second message on this subject: a task is submitted once, however often this is sent.
    once = {"Nats-Expected-Last-Subject-Sequence": "0"}
    await js.publish(f"{task}.submitted", json.dumps(submitted).encode(), headers=once)
    stored = await js.subscribe(f"{task}.outcome", ordered_consumer=True)
    message = await stored.next_msg(timeout=600)
    digest = (message.headers or {}).get("Ctn-Blob")
    outcome = json.loads(await blob(js, "orchestrator", digest) if digest else message.data)
    print(outcome["report"]["text"] if "report" in outcome else outcome["reason"])
    await nc.close()


async def blob(js: Any, owner: str, digest: str) -> bytes:
    """What does not fit a message (512 KiB) is kept by who wrote it, under its SHA-256, in as many parts as the header says."""
    whole = await js.get_last_msg("CTN_BLOBS", f"ctn.blob.{owner}.{digest}")
    count = int((whole.headers or {}).get("Ctn-Chunks", 0))
    parts = [await js.get_last_msg("CTN_BLOBS", f"ctn.blob.{owner}.{digest}.{i}") for i in range(count)] or [whole]
    return b"".join(part.data for part in parts)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
