"""Breaking things: from a fault of the plan to what it does to processes, connections and consumers."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable

from nats.aio.client import Client as Nats
from tests.chaos.plan import Fault
from tests.chaos.servers import Node, Servers
from tests.chaos.services import Services

from concertino.bus import topology
from concertino.contracts.subjects import LANES, Subjects


class Breaker:
    """Does faults to ``servers`` and ``services``. ``nats`` is a connection of its own, for what is asked of servers."""

    def __init__(self, servers: Servers, services: Services, nats: Nats, subjects: Subjects) -> None:
        self._servers, self._services, self._nats, self._subjects = servers, services, nats, subjects

    async def do(self, fault: Fault) -> str:
        """From its beginning to its end. What was done, for people."""
        does: dict[str, Callable[[Fault], Awaitable[str]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "leave": self._leave,
            "cut": self._cut,
            "deaf": self._deaf,
            "slow": self._slow,
            "kill_server": self._kill_server,
            "kill_leader": self._kill_leader,
            "freeze_server": self._freeze_server,
            "forget": self._forget,
        }
        return await does[fault.what](fault)

    async def _kill(self, fault: Fault) -> str:
        self._services.replicas[fault.whom].signal(signal.SIGKILL)
        return "SIGKILL"

    async def _freeze(self, fault: Fault) -> str:
        replica = self._services.replicas[fault.whom]
        replica.signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        replica.signal(signal.SIGCONT)
        return f"SIGSTOP for {fault.seconds:g} s"

    async def _leave(self, fault: Fault) -> str:
        self._services.replicas[fault.whom].signal(signal.SIGTERM)
        return "SIGTERM"

    async def _cut(self, fault: Fault) -> str:
        self._services.replicas[fault.whom].link.cut()
        return "connection cut"

    async def _deaf(self, fault: Fault) -> str:
        link = self._services.replicas[fault.whom].link
        link.deafen()
        await asyncio.sleep(fault.seconds)
        link.heal()
        return f"deaf for {fault.seconds:g} s"

    async def _slow(self, fault: Fault) -> str:
        link = self._services.replicas[fault.whom].link
        link.slow()
        await asyncio.sleep(fault.seconds)
        link.heal()
        return f"slow for {fault.seconds:g} s"

    # --- of the bus

    async def _kill_server(self, fault: Fault) -> str:
        node = self._chosen(fault)
        self._servers.signal(node, signal.SIGKILL)
        return f"SIGKILL of server {node.name}"

    async def _kill_leader(self, fault: Fault) -> str:
        info = await self._ask(f"$JS.API.STREAM.INFO.{self._subjects.tasks_stream}")
        name = str((info.get("cluster") or {}).get("leader") or self._chosen(fault).name)
        node = next((node for node in self._servers.nodes if node.name == name), self._chosen(fault))
        self._servers.signal(node, signal.SIGKILL)
        return f"SIGKILL of server {node.name}, which leads the log"

    async def _freeze_server(self, fault: Fault) -> str:
        node = self._chosen(fault)
        self._servers.signal(node, signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        self._servers.signal(node, signal.SIGCONT)
        return f"SIGSTOP of server {node.name} for {fault.seconds:g} s"

    async def _forget(self, fault: Fault) -> str:
        kinds = sorted(self._services.kinds)
        consumer = topology.work(self._subjects, kinds[fault.pick % len(kinds)], LANES[fault.pick % len(LANES)])
        await self._ask(f"$JS.API.CONSUMER.DELETE.{consumer.stream}.{consumer.name}")
        return f"consumer {consumer.name} deleted"

    def _chosen(self, fault: Fault) -> Node:
        return self._servers.nodes[fault.pick % len(self._servers.nodes)]

    async def _ask(self, subject: str) -> dict[str, object]:
        """What a server answers; nothing where none does, as while it is down."""
        try:
            reply = await self._nats.request(subject, timeout=3)
        except Exception as e:  # noqa: BLE001  (whatever nats-py raises while servers come and go)
            return {"error": repr(e)}
        answer = json.loads(reply.data)
        return answer if isinstance(answer, dict) else {}
