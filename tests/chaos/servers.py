"""The NATS servers of a run: one, or three as a cluster. Real processes, which can be killed and frozen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.kit.ports import free_port

from concertino.contracts.errors import ConcertinoError
from concertino.runtime.nats_server import HOST, NatsServer

BACK_AFTER = 0.5
"""Seconds after which whoever keeps servers running has noticed that one is gone."""


class Node(NatsServer):
    """One of the servers at ``routes``."""

    def __init__(self, store: Path, name: str, routes: Sequence[str] = (), own: str = "") -> None:
        super().__init__(store, free_port())
        self.name, self.folder = name, store
        self._routes, self._own = tuple(routes), own

    def _config(self) -> str:
        config = json.loads(super()._config())
        if self._routes:
            # Clients are not told of the other servers: they would go there, around the links that are to break.
            others = [f"nats://{route}" for route in self._routes if route != self._own]
            config |= {
                "server_name": self.name,
                "cluster": {"name": "chaos", "listen": self._own, "routes": others, "no_advertise": True},
            }
        return json.dumps(config, indent=2)


class Servers:
    """``count`` servers that keep their data below ``folder``, and are started again when they die."""

    def __init__(self, folder: Path, count: int) -> None:
        routes = [f"{HOST}:{free_port()}" for _ in range(count)] if count > 1 else []
        self.nodes = [Node(folder / f"n{i}", f"n{i}", routes, routes[i] if routes else "") for i in range(count)]
        self._keepers: list[asyncio.Task[None]] = []
        self.trouble: list[str] = []
        """Starts that failed, as where a server is killed again before it is ready. It is started until it stays."""

    @property
    def urls(self) -> list[str]:
        """One for each server. Known once they were started."""
        return [node.url for node in self.nodes]

    async def start(self) -> None:
        """Return when all of them serve JetStream."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        self._keepers = [asyncio.create_task(self._keep(node)) for node in self.nodes]

    def signal(self, node: Node, sent: signal.Signals) -> None:
        if node.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(node.pid, sent)

    def thaw(self, node: Node) -> None:
        """Where it was frozen."""
        self.signal(node, signal.SIGCONT)

    def lose_disk(self, node: Node) -> None:
        """It is killed, and what it had stored is gone. It is started again like any other."""
        node.kill()
        shutil.rmtree(node.folder)

    def stop(self) -> None:
        """At once: nobody reads again what they would write out."""
        for keeper in self._keepers:
            keeper.cancel()
        for node in self.nodes:
            node.kill()

    async def _keep(self, node: Node) -> None:
        while True:
            await asyncio.sleep(BACK_AFTER)
            if node.pid is None:
                try:
                    await node.start()
                except ConcertinoError as e:
                    self.trouble.append(f"{node.name}: {e}")
