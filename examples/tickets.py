"""A worker that thinks: a model searches support tickets with a tool of this worker's, and quotes what it found.

It needs a key: ``ANTHROPIC_API_KEY=... concertino up --worker examples/tickets.py``, and then
``concertino ask "What do customers say about invoices?" --source tickets=export.jsonl --nats nats://127.0.0.1:4222``.
"""

import json
from pathlib import Path

from concertino.worker import Answer, Context, Findings, Locator, Passage, Subtask, Worker

PROMPT = """
A ticket is what one customer says. Quote it as that, claim nothing of customers in general from fewer than three, and say on
how many tickets a claim rests. The date of a ticket counts more than its place in a list.
"""

worker = Worker(
    "tickets",
    "Searches exports of support tickets: what customers report, since when, how often.",
    sources=["tickets"],
    tools={"find": "find tickets by their words"},
)


@worker.handle
async def research(brief: Subtask, context: Context) -> Answer[Findings]:
    exports = [Path(source.location) for source in context.sources]
    tickets = [json.loads(line) for export in exports for line in export.read_text().splitlines()]

    async def find(words: str) -> list[Passage]:
        """Tickets that hold all of these words: twenty at the most, the newest first."""
        found = [t for t in tickets if all(word in t["text"].casefold() for word in words.casefold().split())]
        newest = sorted(found, key=lambda t: str(t["date"]), reverse=True)[:20]
        return [Passage(source=f"ticket-{t['id']}", text=t["text"], locator=Locator(fragment=t["date"])) for t in newest]

    context.tools.add(find)
    return await context.research(PROMPT)


if __name__ == "__main__":
    worker.run()
