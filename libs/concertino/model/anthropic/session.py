"""One job's talk with the API: every call metered, every fault met in its own way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from anthropic.types.beta import BetaMessage
from msgspec import Struct

from concertino.contracts.errors import ConcertinoError, Unusable
from concertino.contracts.facts import failure, storable
from concertino.contracts.messages import Failure, Record
from concertino.model.anthropic.asking import Question
from concertino.model.anthropic.calls import Calls
from concertino.model.anthropic.defaults import Chosen
from concertino.model.anthropic.faults import Declined
from concertino.model.anthropic.forms import decoded, form_of, text_of
from concertino.model.anthropic.material import cut

T = TypeVar("T")
Block = dict[str, Any]
"""A content block as the API takes it."""

CUT = ("max_tokens", "model_context_window_exceeded")
"""Stop reasons of an answer that is not whole."""
PART = 1_000
"""Characters of prose, about, of which no more than once as many are lost with a worker."""
_MOST_TOKENS = 128_000
_PAUSES = 8
"""How often an answer that is handed back unfinished is sent on."""
_OBJECTIONS, _OBJECTION = 20, 1_000
"""What is told of what is wrong with an answer, and characters of each."""
_GO_ON = (
    "Your text broke off here. Go on at the very place where it stops, in the middle of a sentence if need be. Repeat nothing."
)
_DECLINED = "\n\n*The model declined this text in the middle of it: the passage above does not count.*\n\n"
_CACHED = {"type": "ephemeral"}
_WITHOUT_EFFORT = ("claude-sonnet-4-5", "claude-haiku-4-5")
"""Models that take no effort level."""


class Piece(Struct, frozen=True):
    """A run of text, and which of the request's ``search_result`` blocks it cites, by their place among these."""

    text: str
    cites: tuple[int, ...] = ()


class Written(Struct, frozen=True):
    """Text with its native citations. ``shortfall`` says why it is not all that was to be written."""

    pieces: tuple[Piece, ...]
    shortfall: Failure | None = None


class Reading(Struct, Generic[T], frozen=True):
    """What an answer came to: the struct, if there is one in it, and all that is wrong with it."""

    made: T | None
    wrong: tuple[str, ...] = ()


class Session:
    """Made for each job. Raises :class:`ModelRejected`, :class:`ModelRefused`, :class:`Unusable`, :class:`ModelUnavailable`,
    and :class:`DeadlineExceeded` at ``until`` (Unix seconds).

    Several questions may be asked of it at once.
    """

    def __init__(self, calls: Calls, choice: Chosen, effort: str | None, until: float) -> None:
        self.calls, self.until = calls, until
        self.room = choice.max_tokens
        """Tokens for an answer, thoughts included."""
        self.effort = effort

    @property
    def answered(self) -> str:
        """Who answered so far, as results name it."""
        return "+".join(self.calls.answered)

    def request(self, model: str, system: str, form: type[Any] | None = None) -> dict[str, Any]:
        """What every request of this job to ``model`` has in common, as arguments. The prompt is marked for the provider's
        cache, and so is the conversation as it grows."""
        config: Block = {"format": form_of(form)} if form else {}
        if self.effort and not model.startswith(_WITHOUT_EFFORT):
            config["effort"] = self.effort
        prompt = [{"type": "text", "text": system, "cache_control": _CACHED}]
        return {
            "cache_control": _CACHED,
            **({"system": prompt} if system.strip() else {}),
            **({"output_config": config} if config else {}),
        }

    async def ask(
        self,
        system: str,
        content: Sequence[Block],
        form: type[T],
        check: Callable[[T], Sequence[str]] = lambda _: (),
    ) -> T:
        """An answer in the form of the struct ``form`` (a structured output).

        What does not decode, and what ``check`` objects to, is sent back once with the objections; after that it is
        :class:`Unusable`, which names them.
        """
        messages: list[Block] = [{"role": "user", "content": list(content)}]
        reading = read(text := await self._text(system, form, messages), form, check)
        if reading.wrong:
            messages += [_said(text), {"role": "user", "content": objected(reading.wrong)}]
            reading = read(await self._text(system, form, messages), form, check)
        if reading.made is None or reading.wrong:
            raise Unusable(f"the model's answer cannot be used, also after it was told why: {'; '.join(reading.wrong)}")
        return reading.made

    async def write(self, system: str, content: Sequence[Block], on_text: Callable[[str], Awaitable[None]]) -> Written:
        """Prose, streamed to ``on_text`` as it comes. ``search_result`` blocks in ``content`` can be cited natively.

        What was written before a fault that does not pass is kept, with the reason. What is declined is not kept; as it cannot
        be taken back from whoever heard it, they are told.
        """
        pieces: list[Piece] = []
        asked: Block = {"role": "user", "content": list(content)}

        def messages() -> list[Block]:
            said = "".join(piece.text for piece in pieces).rstrip()
            return [asked, _said(said), {"role": "user", "content": _GO_ON}] if said else [asked]

        def request(model: str) -> Block:
            return {**self.request(model, system), "messages": messages(), "max_tokens": self.room}

        def known(kept: Any) -> None:
            pieces.extend(msgspec.convert(kept, tuple[Piece, ...]))
            self.calls.stays = True  # else what is written so far would be all

        async def attempt(asked: Question) -> BetaMessage:
            """After a fault the text goes on where it broke off: what was heard is neither lost nor said again. What is heard
            is kept now and then: who goes on after this worker died has it, too."""
            kept = 0

            async def heard(event: Any) -> None:
                nonlocal kept
                if event.type != "text":
                    return
                await on_text(event.text)
                if (written := _length(_pieces(call.message))) - kept >= PART:
                    await self.calls.keep(call, _after(kept, _pieces(call.message)), part=True)
                    kept = written

            async with self.calls.metered(asked) as call:
                arguments = {**asked.request, "max_tokens": call.room}
                try:
                    async with self.calls.client.beta.messages.stream(model=asked.model, **arguments) as stream:
                        return await self.calls.read(call, stream, heard)
                except Declined:
                    if _pieces(call.message):
                        await on_text(_DECLINED)
                    raise  # what is declined does not count
                except BaseException:
                    pieces.extend(_pieces(call.message))
                    self.calls.stays = self.calls.stays or bool(pieces)
                    if rest := _after(kept, _pieces(call.message)):
                        self.calls.journal.note(Record(key=asked.key, value=rest, answer=True, part=True))
                    raise

        async def said() -> BetaMessage:
            message = await self.calls.persist(request, attempt, self.until, known)
            pieces.extend(_pieces(message))
            return message

        try:
            message = await said()
            if message.stop_reason in CUT:
                message = await said()
        except ConcertinoError as e:
            if not pieces:
                raise
            return Written(tuple(pieces), failure(type(e)(f"the text breaks off: {e}")))
        if message.stop_reason in CUT:
            error = Unusable(f"the text breaks off: it is longer than {2 * self.room} tokens, thoughts included")
            return Written(tuple(pieces), failure(error))
        return Written(tuple(pieces))

    async def whole(self, request: Callable[[str], dict[str, Any]]) -> BetaMessage:
        """The answer to ``request``; asked again once with twice the room where it was cut off. It may be cut off then, too."""

        async def say(room: int) -> BetaMessage:
            return await self.calls.say(lambda model: {**request(model), "max_tokens": room}, self.until)

        message = await say(self.room)
        return await say(roomier(self.room)) if message.stop_reason in CUT else message

    async def _text(self, system: str, form: type[Any], messages: list[Block]) -> str:
        going_on: list[Block] = []
        for _ in range(_PAUSES):
            message = await self.whole(lambda model: {**self.request(model, system, form), "messages": [*messages, *going_on]})
            if message.stop_reason in CUT:
                raise Unusable(f"the model's answer is longer than {roomier(self.room)} tokens, and was cut off twice")
            if message.stop_reason != "pause_turn":
                return text_of(message)
            going_on.append({"role": "assistant", "content": [block.to_dict() for block in message.content]})
        raise Unusable(f"the model paused {_PAUSES} times and did not come to an end")


def roomier(room: int) -> int:
    """What an answer is given that did not fit into ``room`` tokens."""
    return min(2 * room, _MOST_TOKENS)


def read(text: str, form: type[T], check: Callable[[T], Sequence[str]]) -> Reading[T]:
    """``text`` as the struct that was asked for."""
    try:
        made = decoded(form, text)
    except msgspec.DecodeError as e:
        return Reading(None, (f"it is not in the form that was asked for: {e}",))
    return Reading(made, tuple(check(made)))


def objected(wrong: Sequence[str]) -> str:
    """What the author of an answer is told when it is sent back."""
    shown = "\n".join(f"- {cut(objection, _OBJECTION)}" for objection in wrong[:_OBJECTIONS])
    more = f"\n- and {len(wrong) - _OBJECTIONS} more" if len(wrong) > _OBJECTIONS else ""
    return f"This cannot be used as it is:\n{shown}{more}\nAnswer again, the whole of it, with this put right."


def _said(text: str) -> Block:
    return {"role": "assistant", "content": text.strip() or "(nothing)"}


def _length(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.text) for piece in pieces)


def _after(characters: int, pieces: Sequence[Piece]) -> list[Any]:
    """What comes after so many of them, to be kept."""
    rest: list[Piece] = []
    for piece in pieces:
        if piece.text[characters:]:
            rest.append(Piece(piece.text[characters:], piece.cites))
        characters = max(characters - len(piece.text), 0)
    built: list[Any] = msgspec.to_builtins(rest)
    return built


def _pieces(message: BetaMessage | None) -> list[Piece]:
    return [
        Piece(
            text,
            tuple(
                dict.fromkeys(
                    citation.search_result_index
                    for citation in block.citations or ()
                    if citation.type == "search_result_location"
                )
            ),
        )
        for block in (message.content if message else ())
        if block.type == "text" and (text := _came(block.text))
    ]


def _came(text: str) -> str:
    """What of ``text`` can be kept while more of it comes: of its last character there may be a half."""
    return storable(text[:-1] if "\ud800" <= text[-1:] <= "\udbff" else text)
