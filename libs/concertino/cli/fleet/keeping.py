"""How long the embedded server keeps tasks: it is one person's, so what ``CTN_KEEP`` says counts, as far as it deletes nothing.

Where many services share a bus, each that is started with a setting of its own takes nothing from the others; here all are
started together, with one.
"""

from __future__ import annotations

import time

from concertino.bus.jetstream import JetStream
from concertino.bus.topology import installation
from concertino.cli.fleet.supervisor import OURS, Say
from concertino.runtime.settings import Settings


async def keep_as_set(bus: JetStream, url: str, config: Settings, say: Say) -> None:
    """Have ``bus``, at ``url``, keep tasks for no longer than ``config`` says, and ``say`` so where that is new. Where
    something that is there is older, all stays as it is, and what is said names the command that deletes it."""
    wanted = installation(config.subjects, replicas=config.replicas, keep=config.keep, max_queued=config.max_queued)
    before, older = 0.0, False
    for stream in wanted.streams:
        if not stream.max_age or (there := await bus.keeps(stream.name)) is None:
            continue
        keeps, oldest = there
        if keeps > stream.max_age or not keeps:
            before = max(before, keeps) if stream.name == config.subjects.tasks_stream else before
            older = older or oldest < time.time() - stream.max_age
    if not before:
        return
    if older:
        say(
            OURS,
            f"CTN_KEEP says {config.keep:g} s, and there are tasks that are older: they stay for {before:g} s, as before. To "
            f"delete them: CTN_KEEP={config.keep:g} CTN_NATS_URL={url} python -m concertino.runtime.provision",
        )
        return
    await bus.provision(wanted)
    say(OURS, f"tasks are kept for {config.keep:g} s from now on, and no more for {before:g} s (CTN_KEEP)")
