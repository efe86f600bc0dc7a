"""An MCP server as a process of ours, spoken to over its standard streams.

The SDK's own transport joins the pieces of a line by adding strings: a tool that answers with tens of megabytes holds the event
loop for as many seconds. This one has a limit instead, and what goes over it ends the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
from anyio.abc import Process
from mcp.os.posix.utilities import terminate_posix_process_tree
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

MOST_ANSWER = 4 * 1024 * 1024
"""Bytes of one message."""
LEAVE_WITHIN = 2.0
"""Seconds to go by itself once its input is closed, and again after SIGTERM."""
ENDED_WITHIN = 1.0
"""Seconds after which a process that takes nothing any more is one that lives."""
_POLL = 0.01


@asynccontextmanager
async def stdio(
    command: Sequence[str], environment: Mapping[str, str], lost: Callable[[str], None], *, most: int = MOST_ANSWER
) -> AsyncIterator[Any]:
    """The streams of a server that ``command`` starts with just this ``environment``.

    When this is left it is gone, with all that it started. ``lost`` is told why, where the connection ends by itself. Raises
    :class:`OSError` where it cannot be started.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, env=dict(environment), limit=most, start_new_session=True
    )
    inbox, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    sending, outbox = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_receive, process, inbox, lost, most)
            tasks.start_soon(_send, process, outbox, inbox, lost)
            try:
                yield received, sending
            finally:
                tasks.cancel_scope.cancel()
    finally:
        for stream in (inbox, received, sending, outbox):
            stream.close()
        with anyio.CancelScope(shield=True):
            await _stop(process)


async def _receive(process: asyncio.subprocess.Process, inbox: Any, lost: Callable[[str], None], most: int) -> None:
    assert process.stdout
    async with inbox:
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                lost(f"it said more than {most} bytes at once")
                return
            if not line:
                lost("its process ended")
                return
            try:
                message: SessionMessage | Exception = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
            except ValueError as e:  # what a server prints besides is not meant for us
                message = e
            try:
                await inbox.send(message)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # nobody listens any more


async def _send(process: asyncio.subprocess.Process, outbox: Any, inbox: Any, lost: Callable[[str], None]) -> None:
    assert process.stdin
    async with outbox:
        try:
            async for message in outbox:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(f"{line}\n".encode())
                await process.stdin.drain()
        except OSError:
            # One that ended takes nothing either, and which of the two is seen first is chance: that it ended is what to say.
            with anyio.move_on_after(ENDED_WITHIN):
                await _ended(process)
            lost("its process reads nothing any more" if process.returncode is None else "its process ended")
            await inbox.aclose()


async def _ended(process: asyncio.subprocess.Process) -> None:
    while process.returncode is None:  # noqa: ASYNC110  (wait() waits for whoever else has its output, too)
        await anyio.sleep(_POLL)


async def _stop(process: asyncio.subprocess.Process) -> None:
    assert process.stdin
    process.stdin.close()
    with anyio.move_on_after(LEAVE_WITHIN):
        await _ended(process)
    # Whatever it left behind is in its process group. The SDK asks for no more than a pid and a return code.
    await terminate_posix_process_tree(cast(Process, process), LEAVE_WITHIN)
    # What it had not said yet keeps its pipe open, and who escaped from its group may hold it: nothing public closes our end.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
