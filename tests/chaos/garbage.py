"""What nobody should write, on every subject that somebody may write to. Pure."""

from __future__ import annotations

from random import Random

from tests.chaos.orders import OWN, RESEARCH
from tests.chaos.plan import Order

from concertino.contracts.subjects import LANES, Subjects

PAYLOADS = (b"", b"\x00\xff{", b"[]", b"null", b'{"status":7}', b'{"work":[["x",1]]}', b"x" * 2_000, b'{"blob":"../../etc"}')
FACTS = (
    *("plan.0", "plan.x", "dispatched.1", "dispatched.9", "synthesis.0", "cancel", "finish", "halted", "outcome"),
    *("result.docs.s0", "result.tally.s0", "result.docs.nobody", "returned.result.docs.s0.1", "begun.result.docs.s0.1"),
    *("spent.result.docs.s0.1", "timer.deadline", "due.deadline", "due.nobody"),
)


def about(order: Order, subjects: Subjects, random: Random) -> list[tuple[str, bytes]]:
    """A few subjects with something for each: of the task of ``order``, and of what it shares with others."""
    task = order.task
    everywhere = [
        *(subjects.fact(task, name) for name in FACTS),
        *(subjects.work(lane, kind) for lane in LANES for kind in (*RESEARCH, OWN, "plan", "synthesize")),
        subjects.fact(f"{task}-bad", "submitted"),
        subjects.fact("bad$id", "submitted"),
        subjects.progress(task, "result.docs.s0"),
        subjects.signal(task),
        subjects.signal(task, "result.docs.s0"),
        f"$KV.{subjects.budget_bucket}.{task}",
        f"$KV.{subjects.workers_bucket}.docs.nobody",
        f"$KV.{subjects.kinds_bucket}.nobody",
    ]
    return [(subject, random.choice(PAYLOADS)) for subject in random.sample(everywhere, 3)]
