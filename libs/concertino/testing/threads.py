"""Conversations that the server holds between turns, so that each request sends only what is new."""

from __future__ import annotations

from typing import Any

from concertino.testing.replies import Fault


class Threads:
    """The conversations up to each message that can be continued, by the message's id."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Any]] = {}
        self._continued: set[str] = set()

    def whole(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        """``body`` with what the server holds of its conversation."""
        thread = body.get("thread")
        if not isinstance(thread, dict) or thread.get("type") != "continue":
            return body
        previous = str(thread.get("previous_message_id"))
        if previous not in self._held:
            return _fault(404, "thread_not_found", f"no usable Thread state was found for {previous}")
        if previous in self._continued:
            return _fault(400, "thread_already_continued", f"{previous} has already been continued")
        held = self._held[previous]
        return {**held, **body, "messages": [*held["messages"], *body.get("messages", ())]}

    def keep(self, whole: dict[str, Any], message: dict[str, Any]) -> None:
        """Hold the conversation after ``message``. Refused turns, and those of a fallback model, are not held."""
        thread = whole.get("thread")
        if not isinstance(thread, dict) or message["stop_reason"] == "refusal" or "iterations" in message["usage"]:
            return
        if thread.get("type") == "continue":
            self._continued.add(str(thread["previous_message_id"]))
        said = {"role": "assistant", "content": message["content"]}
        self._held[message["id"]] = {
            "messages": [*whole["messages"], said],
            **{name: whole[name] for name in ("system", "tools") if name in whole},
        }


def _fault(status: int, code: str, message: str) -> Fault:
    return Fault(status, message=message, details={"error_code": code})
