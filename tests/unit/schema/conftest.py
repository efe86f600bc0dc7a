"""One message of every type with every field set: what the wire may carry at its fullest."""

from __future__ import annotations

import pytest

from concertino.contracts import messages as m
from concertino.contracts.rates import Bucket, Knock, Rates

DIGEST = "0f" * 32

SOURCE = m.Source(kind="code", location="https://example.org/project.git", ref="v1.2")
LIMITS = m.Limits(
    deadline=90.5, max_tokens=1000, max_cost=2.5, max_subtasks=4, max_rounds=3, effort="high", model="claude-haiku-4-5"
)
SUBTASK = m.Subtask(
    id="s1",
    kind="code",
    objective="Find where retries are configured.",
    why="The request asks for it.",
    expected_output="One sentence.",
    boundaries="Leave the documentation to s2.",
    starting_points=("src/retry.py",),
    trusted=("src",),
    sources=(SOURCE,),
    tools=("search",),
    max_calls=9,
    max_seconds=90.0,
    effort="low",
    depends_on=("s0",),
    params={"depth": 2, "names": ["a"], "nested": {"x": None}},
    role="a tax lawyer",
    instructions="Clause by clause.",
)
PLAN = m.Plan(subtasks=(SUBTASK,), why="One part suffices.", synthesize=False)
USAGE = m.Usage(
    model_calls=3,
    input_tokens=1200,
    output_tokens=80,
    cost_usd=0.0123,
    cache_write_tokens=900,
    cache_read_tokens=4000,
    web_searches=2,
    unpriced_calls=1,
)
FAILURE = m.Failure(code="source", message="the repository cannot be cloned: not found", retryable=True)
LINES = m.Locator(lines=(12, 18))
EVIDENCE = m.Evidence(digest=DIGEST, span=(3, 9), source="src/retry.py", locator=LINES, quote="retry=", root="/src")
FINDING = m.Finding(
    claim="Retries stop after five.",
    evidence=(EVIDENCE,),
    quality=1.0,
    confidence=0.0,
    severity="high",
    topic="retries",
    advice="Raise it.",
)
REPORT = m.Report(
    text="Retries stop after five [e1].",
    citations=(
        m.Citation(id="e1", source="src/retry.py", locator=LINES, quote="retry=", digest=DIGEST, root="/src"),
        m.Citation(id="e2", source="a.pdf", locator=m.Locator(page=3), quote="five"),
        m.Citation(id="e3", source="https://example.org/x", locator=m.Locator(fragment="limits"), quote="5"),
    ),
    conflicts=(
        m.Conflict(
            statement="How many?",
            positions=(m.Position(claim="five", citations=("e1",)), m.Position(claim="six")),
            resolution="five",
            why="Code decides.",
        ),
    ),
    gaps=("Who set it.",),
    open=("Who set it.",),
    checked=3,
    dropped=2,
    marked=1,
)
SETTLED = {
    "status": m.ResultStatus.PARTIAL,
    "error": FAILURE,
    "attempts": 2,
    "worker": "code-1",
    "seconds": 1.25,
    "hedge": True,
    "cold": True,
    "model": "extractive",
    "prompt": "research-1 web-2",
    "usage": USAGE,
    "spent": {"claude": USAGE},
}
RESULT = m.Result(**SETTLED, findings=(FINDING,), gaps=("tests",), notes=("broken.pdf was not read",))

FULL: dict[str, m.Message] = {
    "submitted": m.Submitted(
        request="How often?",
        sources=(SOURCE,),
        limits=LIMITS,
        lane="batch",
        plan=PLAN,
        until="plan",
        done=(m.Done(work="result.code.s1", result=RESULT),),
        again="t0",
    ),
    "plan": m.Planned(**SETTLED, plan=PLAN),
    "dispatched": m.Dispatched(work=(("result.code.s1", 1), ("plan.0", 2)), hedge_after={"code": 12.5}),
    "returned": m.Returned(worker="web-1"),
    "begun": m.Begun(worker="web-1", attempt=2, seconds=1.25, hedge=True),
    "checkpoint": m.Checkpoint(
        worker="web-1",
        delivery=2,
        records=(
            m.Record(key="tool:1", value={"text": "found"}),
            m.Record(key="9f86", answer=True, part=True, value=["So it"], spent={"claude": USAGE}),
            m.Record(key="60af", error=m.Failure(code="budget", message="spent")),
        ),
        left="tried_again",
        doubted=True,
    ),
    "spent": m.Spent(
        worker="web-1",
        why="overloaded",
        code="model_unavailable",
        category="overloaded",
        attempt=2,
        seconds=8.5,
        usage=USAGE,
        spent={"claude": USAGE},
    ),
    "result": RESULT,
    "synthesis": m.Synthesized(**SETTLED, report=REPORT),
    "again": m.Again(subtasks=("s2",)),
    "cancel": m.Cancel(reason="enough"),
    "finish": m.Finish(reason="that will do"),
    "outcome": m.Outcome(
        status=m.OutcomeStatus.PARTIAL,
        reason="s2 failed",
        report=REPORT,
        findings=(FINDING,),
        usage=USAGE,
        max_tokens=1000,
        max_cost=2.5,
    ),
    "halted": m.Halted(),
    "work": m.Work(
        task="t1",
        id="result.code.s1",
        attempt=2,
        request="How often?",
        brief=SUBTASK,
        sources=(SOURCE,),
        limits=LIMITS,
        deadline=1_800_000_000.5,
        inputs=(m.Input(subtask=SUBTASK, result=RESULT), m.Input(subtask=SUBTASK, result=None)),
        gaps=("Who set it.",),
        unread=("src (code) was not read: no subtask was given it",),
    ),
    "progress": m.Progress(
        doing="searching", at=1_800_000_000.0, work="result.code.s1", attempt=2, worker="code-1", text="Retries"
    ),
    "signal": m.Signal(reason="cancelled", delivery=2),
    "present": m.Present(replica="0a1b2c3d4e5f", leaving=True, many=True),
    "look": m.Look(
        replica="0a1b2c3d4e5f", number=7, task="t1", reach=12, begins=11, more=(m.Asked(number=8, task="t2", reach=13),)
    ),
    "looked": m.Looked(number=7, retry=0.5, seen=12, more=(m.Told(number=8, retry=0.5, seen=14),)),
    "announcement": m.Announcement(
        kind="code",
        description="Reads code.",
        replica="code-1",
        slots=4,
        tools=("search",),
        abilities={"search": "Finds."},
        sources=("code",),
        internal=True,
        public=("web_fetch",),
        hedge=False,
    ),
    "ledger": m.Ledger(
        spent=m.Amount(tokens=1200, cost=0.25),
        holds=(
            m.Hold(
                id="h1",
                work="result.code.s1",
                attempt=2,
                delivery=3,
                amount=m.Amount(tokens=4000, cost=0.5),
                own=True,
                over=True,
            ),
        ),
        works={"result.code.s1": m.Amount(tokens=1200, cost=0.25)},
        by="h1",
    ),
    "rates": Rates(
        at=1_800_000_000.5,
        buckets={"requests": Bucket(limit=50.0, rate=0.5, level=-1.5)},
        knocks=(
            Knock(
                id="k1",
                at=1_800_000_001.5,
                ends=1_800_000_031.5,
                ahead=5.0,
                requests=2,
                input=1200.5,
                output=800.5,
                going=True,
                stops=2,
            ),
        ),
        width=4.5,
        threshold=8.5,
        stops=2,
        stopped=1_800_000_001.0,
        refusals=1,
        status=529,
        alarm=1.25,
        first=0.75,
        share=0.25,
        output=812.5,
        coming=1.5,
        by="k1",
    ),
}


@pytest.fixture(scope="session")
def full() -> dict[str, m.Message]:
    """Schema name to a message with every field set."""
    return FULL
