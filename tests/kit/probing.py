"""What a cluster sees of a service: its probes, over HTTP."""

from __future__ import annotations

import asyncio


async def probe(port: int, path: str) -> tuple[int, str]:
    """Status and text; 0 where nobody listens (yet)."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return 0, ""
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    head, _, text = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split(" ", 2)[1]), text.strip()


async def ready(port: int) -> bool:
    return (await probe(port, "/readyz"))[0] == 200
