"""A conversation with tools as it can be sent again: to the same model, to another, or without its bulk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anthropic.types.beta import BetaMessage

from concertino.model.anthropic.asking import THOUGHTS

Turn = dict[str, Any]

_HOSTED = ("server_tool_use", "web_search_tool_result")
_LEFT_OUT = "(left out, as there is no room for it any more: ask for it again if you need it)"


class History:
    """The turns so far, and who made them: what a model thought is of use to itself only."""

    def __init__(self, first: Turn) -> None:
        self._first = first
        self._turns: list[Turn] = [first]
        self._models: set[str] = set()

    @property
    def calls(self) -> int:
        """Results of tools that are in it."""
        return sum(block["type"] == "tool_result" for block in _blocks(self._turns))

    @property
    def material(self) -> int:
        """Those of them that were not left out."""
        return len(_returned(self._turns))

    def messages(self, model: str) -> list[Turn]:
        """What ``model`` is sent."""
        return self._without(THOUGHTS) if self._models - {model} else list(self._turns)

    def plain(self) -> list[Turn]:
        """The same without thoughts and without what the provider's own tools returned: for the last word, which is in a form
        that goes with neither."""
        return self._without((*THOUGHTS, *_HOSTED))

    @property
    def unanswered(self) -> list[str]:
        """Ids of the calls of tools in the last turn that have no results yet."""
        last = self._turns[-1]
        return [block["id"] for block in last["content"] if block["type"] == "tool_use" and last["role"] == "assistant"]

    def said(self, message: BetaMessage, model: str, *, called: bool = False) -> None:
        """The model's turn. Calls of tools are in it only if they are made (``called``): each of them has to be answered."""
        content = [_valid(block.to_dict(warnings=False)) for block in message.content if called or block.type != "tool_use"]
        if kept := [block for block in content if not _empty(block)]:
            self._turns.append({"role": "assistant", "content": kept})
            self._models.add(model)

    def answered(self, results: Iterable[dict[str, Any]]) -> None:
        """Results of the tools that were called in the last turn."""
        self._turns.append({"role": "user", "content": list(results)})

    def asked(self, text: str) -> None:
        """What the model is told next: with the results of its calls, where there are any."""
        said = {"type": "text", "text": text}
        self._turns = _finished(self._turns)
        last = self._turns[-1]
        if last["role"] == "user":
            self._turns[-1] = {**last, "content": [*last["content"], said]}
        else:
            self._turns.append({"role": "user", "content": [said]})

    def compacted(self, message: BetaMessage) -> Turn:
        """Only a summary, ``message``, and the brief again, which is returned."""
        self._turns = [{"role": "assistant", "content": [block.to_dict() for block in message.content]}, self._first]
        return self._first

    def lighten(self) -> bool:
        """Leave out what tools returned before the last turn; where there is nothing, the second half of what they returned in
        the last. False where there is nothing to leave out at all."""
        last = _returned(self._turns[-1:])
        heavy = _returned(self._turns[:-1]) or last[len(last) // 2 :]
        for block in heavy:
            block["content"] = _LEFT_OUT
        return bool(heavy)

    def _without(self, types: tuple[str, ...]) -> list[Turn]:
        turns: list[Turn] = []
        for turn in self._turns:
            kept = [_uncited(block) for block in _blocks([turn]) if block["type"] not in types]
            if kept:
                turns.append({"role": turn["role"], "content": kept})
        return turns


def _blocks(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    return [block for turn in turns for block in turn["content"]]


def _returned(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    return [block for block in _blocks(turns) if block["type"] == "tool_result" and block["content"] != _LEFT_OUT]


def _finished(turns: list[Turn]) -> list[Turn]:
    """Without the provider's own calls that a pause left open at the end: nothing else may be said before their results."""
    *before, last = turns
    done = {block.get("tool_use_id") for block in last["content"]}
    kept = [block for block in last["content"] if block["type"] != "server_tool_use" or block["id"] in done]
    return [*before, {**last, "content": kept}] if kept else before


def _valid(block: dict[str, Any]) -> dict[str, Any]:
    """A call whose input is no object is not taken back by the API."""
    wrong = block["type"] in ("tool_use", "server_tool_use") and not isinstance(block["input"], dict)
    return {**block, "input": {}} if wrong else block


def _uncited(block: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name != "citations"} if block["type"] == "text" else block


def _empty(block: dict[str, Any]) -> bool:
    return block["type"] == "text" and not block["text"].strip()
