"""Material for reports, and a session that answers by script."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from concertino.contracts.messages import Announcement, Evidence, Input, Limits, Locator, Result, Subtask, Work
from concertino.model.anthropic.session import Block, Piece, Session, Written
from concertino.model.port import Exhibit, Hooks, Prompt, Writing, WritingPrompts

T = TypeVar("T")
PROMPTS = WritingPrompts(Prompt("digest", "1", "Digest."), Prompt("weigh", "2", "Weigh."), Prompt("write", "3", "Write."))


def exhibit(id_: int | str, quote: str = "", claim: str = "", source: str = "", root: str = "", **more: Any) -> Exhibit:
    quote = quote or f"quote {id_}"
    evidence = Evidence(
        digest="0" * 64,
        span=(0, len(quote)),
        source=source or f"{id_}.md",
        locator=Locator(lines=(1, 1)),
        quote=quote,
        root=root,
    )
    return Exhibit(str(id_), claim or f"claim {id_}", evidence, more.pop("subtask", "s1"), 0.5, 0.5, **more)


def writing(*exhibits: Exhibit, rounds: int = 2, hooks: Hooks = Hooks(), **more: Any) -> Writing:  # noqa: B008
    subtasks = [Subtask(id=id_, kind="docs", objective=f"What of {id_}?") for id_ in sorted({e.subtask for e in exhibits})]
    work = Work(
        task="t1",
        id="synthesis.0",
        attempt=1,
        request="How is it?",
        brief=Subtask(id="synthesize-0", kind="synthesize", objective="?"),
        deadline=2e9,
        limits=Limits(max_rounds=rounds),
        inputs=tuple(Input(subtask=s, result=Result()) for s in subtasks),
    )
    more.setdefault("kinds", (Announcement(kind="docs", description="Reads.", replica="d"),))
    return Writing(work=work, exhibits=exhibits, prompts=PROMPTS, hooks=hooks, **more)


def shown(content: Sequence[Block], name: str) -> Any:
    """What a model is shown in the tag ``name``."""
    text = "\n".join(block["text"] for block in content if block["type"] == "text")
    found = re.search(rf"<{name}>\n(.*)\n</{name}>", text)
    assert found, f"no {name} in {text[:400]}"
    return json.loads(found[1])


class Scripted(Session):
    """Answers from ``forms`` by the name of the form: a value, an error, or a function of the content. ``prose``: likewise."""

    def __init__(self, prose: Any = None, **forms: Any) -> None:
        self._prose, self._forms = prose, forms
        self.asked: list[tuple[str, str, Sequence[Block]]] = []
        self.objections: list[str] = []

    async def ask(
        self,
        system: str,
        content: Sequence[Block],
        form: type[T],
        check: Callable[[T], Sequence[str]] = lambda _: (),
    ) -> T:
        self.asked.append((form.__name__, system, content))
        scripted = self._forms[form.__name__]
        answers = scripted if isinstance(scripted, list) else [scripted]
        answer = _answer(answers.pop(0) if isinstance(scripted, list) else scripted, content)
        found = msgspec.convert(answer, form)
        if objections := check(found):
            self.objections += objections
            if isinstance(scripted, list) and scripted:
                found = msgspec.convert(_answer(scripted.pop(0), content), form)
            assert not check(found), "it is asked again once"
        return found

    async def write(self, system: str, content: Sequence[Block], on_text: Callable[[str], Awaitable[None]]) -> Written:
        self.asked.append(("prose", system, content))
        written: Written = _answer(self._prose, content)
        for piece in written.pieces:
            await on_text(piece.text)
        return written


def _answer(scripted: Any, content: Sequence[Block]) -> Any:
    answer = scripted(content) if callable(scripted) else scripted
    if isinstance(answer, Exception):
        raise answer
    return answer


def citing(content: Sequence[Block]) -> Written:
    """A sentence for each thing that can be cited."""
    offered = [block for block in content if block["type"] == "search_result"]
    return Written(tuple(Piece(f"So says {block['source']}. ", (place,)) for place, block in enumerate(offered)))
