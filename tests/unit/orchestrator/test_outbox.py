"""What is posted in one turn of the event loop goes out together."""

from __future__ import annotations

import asyncio

from concertino.orchestrator.outbox import Outbox


async def test_what_is_posted_in_one_turn_is_sent_together_to_each_in_order() -> None:
    sent: list[tuple[str, tuple[int, ...]]] = []

    async def send(to: str, messages: tuple[int, ...]) -> None:
        await asyncio.sleep(0)
        sent.append((to, messages))

    box: Outbox[int] = Outbox(send, lambda to: 1 if to == "old" else 3)
    await box.sent()
    for number in range(5):
        box.post("new", number)
    box.post("old", 10)
    box.post("old", 11)
    assert sent == [], "nothing goes while more may come"
    await asyncio.sleep(0)
    box.post("new", 5)
    await box.sent()

    assert [number for to, messages in sent if to == "old" for number in messages] == [10, 11]
    assert {messages for to, messages in sent if to == "new"} == {(0, 1, 2), (3, 4), (5,)}
    assert len(sent) == 5
