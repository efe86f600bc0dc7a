"""What a handler is given besides its brief."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import structs

from concertino.bus.announcements import kinds
from concertino.bus.blobs import evidence
from concertino.bus.port import Bus
from concertino.contracts.budget import budget_of
from concertino.contracts.checkpoints import together
from concertino.contracts.errors import (
    BudgetSpent,
    ConcertinoError,
    DeadlineExceeded,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    RateLimited,
    Unfit,
    Unusable,
)
from concertino.contracts.messages import Announcement, Input, Record, Source, Usage, Work
from concertino.contracts.plans import GENERAL, PUBLIC
from concertino.masking import credentials, learn, masked
from concertino.model import prompts
from concertino.model.port import Answer, Call, Findings, Hooks, Hosted, Model, Prompt, Research
from concertino.model.wish import Wish
from concertino.retrieval.cache import Cache
from concertino.retrieval.wanted import shown
from concertino.runtime.clock import Clock
from concertino.runtime.settings import Settings
from concertino.telemetry import metrics
from concertino.telemetry.export import captured
from concertino.worker import meter
from concertino.worker.evidence import EvidenceLog
from concertino.worker.journal import Journal
from concertino.worker.limiter import Limiter, Shared
from concertino.worker.mcp import Servers
from concertino.worker.purse import Purse
from concertino.worker.quoting import quoted, worth_waiting
from concertino.worker.tools import Toolbox
from concertino.worker.waits import Waits

Say = Callable[[str, str], Awaitable[None]]
"""What is being done, and the next piece of text if that is writing."""

_KINDS = "once:kinds"
_RESEARCH = Path(__file__).with_name("research.md")


class Context:
    """One piece of work in the making.

    ``tools`` offers functions to the model and remembers what they return, ``model`` thinks, ``evidence`` turns quotes into
    evidence, ``inputs`` are the results that the brief depends on.
    """

    def __init__(
        self,
        work: Work,
        *,
        bus: Bus,
        model: Model,
        settings: Settings,
        say: Say,
        delivery: int = 1,
        last_attempt: bool = False,
        servers: Servers | None = None,
        clock: Clock = time.time,
        limits: Shared | None = None,
        journal: Journal | None = None,
    ) -> None:
        if work.sources:
            learn(secret for source in work.sources for secret in credentials(source.location))
        asked = work.request, work.brief
        clean = masked(asked)
        self.work = work if clean is asked else structs.replace(work, request=clean[0], brief=clean[1])
        self.last_attempt = last_attempt
        """Whether what fails now is not tried again."""
        self.model = model
        self.settings = settings
        self.servers = servers or Servers()
        """MCP servers that this kind may use. Their tools are offered by :meth:`research`, as far as the brief allows them."""
        self.notes: list[str] = []
        """What a reader of the result should know besides."""
        self.journal = journal or Journal(None, work.brief.kind, "", delivery, clock)
        """What is kept of its conversations with a model."""
        self.evidence = EvidenceLog(bus, work.brief.kind)
        self.waits = Waits()
        """What its calls wait for the provider's rate limit."""
        self.wish = Wish()
        """To finish, of the caller of the task."""
        self.spent: dict[str, Usage] = dict(self.journal.unbooked)
        """What models took so far, by name."""
        self._bus, self._say, self._clock, self._delivery, self._limits = bus, say, clock, delivery, limits
        self.doing = ""
        """What was last told of its progress."""
        self.setback = ""
        """Why the model did not bring what it was asked for, once that is so."""
        self.cancelled = False
        """True once nobody wants the result any more. A handler that awaits is interrupted anyway; a thread has to look."""
        self.in_thread = False
        """Whether a plain function is at it, in a thread of its own. That may go on when all else has ended."""

    @functools.cached_property
    def tools(self) -> Toolbox:
        """What it may use. Made when it is asked for, as the next is: much work asks for neither."""
        return Toolbox(
            allowed=self.work.brief.tools,
            max_calls=self.work.brief.max_calls,
            on_call=self._on_call,
            on_seen=self.evidence.admit,
            on_ended=self._on_tool_ended,
            captures=captured(os.environ),
        )

    @functools.cached_property
    def cache(self) -> Cache:
        """The folder of clones and indexes, for this piece of work."""
        return Cache(Path(self.settings.cache), self.settings.cache_bytes)

    @functools.cached_property
    def hooks(self) -> Hooks:
        """What a job for the model carries, so that its calls are metered here and its progress is told."""
        work, delivery = self.work, self._delivery
        limits = self._limits or Shared(self._bus, self.settings.subjects)
        return Hooks(
            on_call=self._on_model_call,
            on_text=self._on_text,
            progress=self.progress,
            wish=self.wish,
            purse=self._purse,
            limiter=Limiter(limits, work.brief.kind, self.waits, delivery, hedge=work.attempt > 1, deadline=work.deadline),
            journal=self.journal,
        )

    @functools.cached_property
    def _purse(self) -> Purse | None:
        if not budget_of(self.work).limited:
            return None
        return Purse(self._bus, self.settings.subjects, self.work, self._delivery)

    def resume(self) -> None:
        """Deliveries are counted anew, and one before this left something: it goes on from that, as its journal does."""
        self._delivery = self.journal.delivery
        if self._purse:
            self._purse.delivery = self._delivery  # what that one had taken, nobody settles any more
        self.spent.update(together(self.spent, self.journal.unbooked))

    @property
    def finishing(self) -> bool:
        """True once the caller has asked to finish: whatever is returned within a few seconds counts, and nothing after that.
        :meth:`research` then has the model write up what it has read; a handler of its own looks here."""
        return self.wish.asked

    @property
    def sources(self) -> tuple[Source, ...]:
        return self.work.sources

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.work.inputs

    async def progress(self, doing: str) -> None:
        """Tell whoever follows the task what is happening now, in a few words."""
        self.doing = doing
        await self._say(doing, "")

    async def research(self, prompt: Prompt | str = "", *, hosted: frozenset[Hosted] = frozenset()) -> Answer[Findings]:
        """Have the model work on the brief with what is in :attr:`tools`, and return findings whose quotes were checked.

        ``prompt`` says what is special about this kind of work; how to research at all, the model is told in any case.
        ``hosted`` are tools of its provider that it may use besides. Where the model fails for good, what can be quoted without
        it counts, with the reason.
        """
        await self._offer_remote()
        own = prompts.written(self.work.brief.kind, prompt) if isinstance(prompt, str) and prompt else prompt
        job = Research(
            work=self.work,
            tools=self.tools,
            prompt=prompts.joined(prompts.load(_RESEARCH), *([own] if isinstance(own, Prompt) else [])),
            hosted=hosted & self.model.hosts,
            check=self.evidence.problems,
            hooks=self.hooks,
        )
        try:
            return await self.model.research(job)
        except (BudgetSpent, ModelRejected, ModelRefused, Unusable, DeadlineExceeded) as e:
            return await self._without_model(job, e)
        except (ModelUnavailable, RateLimited) as e:
            if worth_waiting(e, self.work.deadline - self._clock(), last=self.last_attempt):
                raise
            return await self._without_model(job, e)

    async def kinds(self) -> list[Announcement]:
        """Whom a plan may ask: who is announced on the bus, and who would be woken by work. For a later attempt at this work
        that is who was there for the first: what a model was told is not to change."""
        await self.hooks.journal.begin()
        if held := self.hooks.journal.recall(_KINDS):
            return msgspec.convert(held.value, list[Announcement])
        found = await kinds(self._bus, self.settings.subjects)
        self.hooks.journal.note(Record(key=_KINDS, value=msgspec.to_builtins(found)))
        return found

    async def blob(self, kind: str, digest: str) -> bytes | None:
        """The evidence of workers of ``kind`` under ``digest``. Where users are kept apart, only a synthesizer may read it."""
        return await evidence(self._bus, kind, digest)

    async def _without_model(self, job: Research, why: ConcertinoError) -> Answer[Findings]:
        self.setback = str(why)
        return await quoted(job, why, self.spent)

    async def _offer_remote(self) -> None:
        remotes, missing = await self.servers.tools(self.tools.allowed)
        taken = {spec.name for spec in self.tools.specs}
        # ``general`` chooses its tools itself.
        private = self.work.brief.kind != GENERAL and any(source.kind != PUBLIC for source in self.sources)
        for remote in remotes:
            if remote.spec.name in taken:
                missing.append(f"the tool {remote.spec.name} of an MCP server is not offered: another one has its name")
            elif remote.public and private:
                missing.append(f"the tool {remote.spec.name}: it reaches the open web, and this brief's sources may be private")
            else:
                self.tools.offer(remote.spec, remote.function)
        self.notes += [f"not available: {why}" for why in missing if f"not available: {why}" not in self.notes]

    def _on_model_call(self, call: Call) -> None:
        _check(call)
        meter.record(self.work.brief.kind, call)
        self.spent[call.model] = self.spent.get(call.model, Usage()) + call.usage

    def _on_tool_ended(self, ended: str) -> None:
        metrics.TOOL_CALLS.labels(self.work.brief.kind, ended).inc()

    async def _on_text(self, text: str) -> None:
        await self._say(self.doing, text)

    async def _on_call(self, name: str, arguments: dict[str, object]) -> None:
        said = ", ".join(shown(value) for value in arguments.values() if isinstance(value, str) and value)
        await self.progress(f"{name}: {said}" if said else name)


def _check(call: Call) -> None:
    """Raises :class:`Unfit` where a model says that it took what nothing can take: no reader would accept that."""
    try:
        msgspec.convert(msgspec.structs.asdict(call.usage), Usage)
    except msgspec.ValidationError as e:
        raise Unfit(f"the usage of a call of {call.model}: {e}") from e
