"""What a cluster asks over HTTP, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from concertino.contracts.errors import BadSetting
from concertino.runtime.probes import Probes
from concertino.telemetry import metrics


class Asked:
    """Probes on a free port; ``missing`` is what a test says."""

    def __init__(self) -> None:
        self.missing = ""
        self.stuck = False
        self.probes = Probes(lambda: self.missing, lambda: self.stuck)
        self.port = 0

    async def send(self, request: bytes) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        if writer.can_write_eof():
            writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer.decode()

    async def get(self, path: str) -> str:
        return await self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    asked = Asked()
    asked.port = await asked.probes.start("127.0.0.1", 0)
    yield asked
    await asked.probes.stop()


async def test_it_lives_and_is_ready(asked: Asked) -> None:
    assert (await asked.get("/livez")).startswith("HTTP/1.1 200 OK\r\n")
    assert (await asked.get("/readyz?verbose")).endswith("\r\n\r\nready\n")


async def test_what_is_missing_is_said(asked: Asked) -> None:
    asked.missing = "no connection to NATS"
    answer = await asked.get("/readyz")
    assert answer.startswith("HTTP/1.1 503 ")
    assert answer.endswith("no connection to NATS\n")
    assert "200 OK" in await asked.get("/livez")


async def test_what_only_a_new_process_helps_against_is_said_as_well(asked: Asked) -> None:
    asked.stuck = True
    assert (await asked.get("/livez")).startswith("HTTP/1.1 503 ")


async def test_metrics_are_as_prometheus_reads_them(asked: Asked) -> None:
    metrics.ATTEMPTS.labels("probed").inc()
    head, _, body = (await asked.get("/metrics")).partition("\r\n\r\n")
    assert "Content-Type: text/plain; version=" in head
    assert f"Content-Length: {len(body.encode())}" in head
    assert 'concertino_attempts_total{kind="probed"} 1.0\n' in body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /etc/passwd HTTP/1.1\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"\x00\xff\r\n\r\n", "405"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", ""),
        (b"GET /livez", ""),
        (b"", ""),
    ],
)
async def test_rubbish_is_refused_and_harms_nobody(asked: Asked, request_: bytes, status: str) -> None:
    try:
        answer = await asked.send(request_)
    except ConnectionError:
        answer = ""
    assert answer[9:12] == status
    assert "200 OK" in await asked.get("/livez")


async def test_a_port_that_is_taken_is_named(asked: Asked) -> None:
    with pytest.raises(BadSetting, match=f"CTN_PORT.*{asked.port}"):
        await Probes(lambda: "").start("127.0.0.1", asked.port)
