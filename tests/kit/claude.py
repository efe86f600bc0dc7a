"""The anthropic adapter as tests use it: a server of ours, a world whose time they set, and all that it told recorded."""

from __future__ import annotations

from opentelemetry.trace import TracerProvider

from concertino.contracts.messages import Limits, Subtask, Work
from concertino.model.anthropic import Anthropic
from concertino.model.anthropic.defaults import STALL
from concertino.model.anthropic.world import World
from concertino.model.port import Call, Hooks
from concertino.runtime.config import Config
from concertino.testing import MessagesApi

NOW = 1_000_000.0


class Claude:
    """A model, what it was made to wait, and what the hooks were told."""

    def __init__(
        self,
        api: MessagesApi,
        kind: str = "docs",
        config: Config | None = None,
        *,
        stall: float = STALL,
        traces: TracerProvider | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.now = NOW
        self.chance = 1.0  # of the longest pauses
        self.pauses: list[float] = []
        self.calls: list[Call] = []
        self.text: list[str] = []
        self.progress: list[str] = []
        world = World(clock=lambda: self.now, monotonic=lambda: self.now, sleep=self._sleep, chance=lambda: self.chance)
        self.model = Anthropic(
            kind, config or Config(), environment=environment or api.environment(), world=world, stall=stall, traces=traces
        )

    @property
    def hooks(self) -> Hooks:
        return Hooks(on_call=self.calls.append, on_text=self._on_text, progress=self._on_progress)

    @property
    def ended(self) -> list[str]:
        """How each call ended."""
        return [call.ended for call in self.calls]

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def _on_text(self, text: str) -> None:
        self.text.append(text)

    async def _on_progress(self, doing: str) -> None:
        self.progress.append(doing)


def work(brief: Subtask | None = None, *, seconds: float = 600.0, limits: Limits | None = None, **more: object) -> Work:
    """A piece of work that is due ``seconds`` after :data:`NOW`."""
    return Work(
        task="t1",
        id="result.docs.s1",
        attempt=1,
        request="Which port does it listen on?",
        brief=brief or Subtask(id="s1", kind="docs", objective="Find the port it listens on."),
        limits=limits or Limits(),
        deadline=NOW + seconds,
        **more,  # type: ignore[arg-type]
    )
