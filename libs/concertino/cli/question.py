"""What is asked, put together from the options and checked before anything is started or stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from msgspec import Struct

from concertino.cli.durations import parse_duration
from concertino.cli.inputs import STDIN, read_plan, read_request
from concertino.cli.sources import sources
from concertino.contracts.errors import BadSetting
from concertino.contracts.messages import Effort, Lane, Limits, Plan, Source


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """Everything about a task but its request."""

    code: Annotated[Sequence[str], Parameter(negative="")] = ()
    """A folder of code, or a git URL (`URL#REF` for a branch, tag or commit). May be repeated."""
    docs: Annotated[Sequence[str], Parameter(negative="")] = ()
    """A folder of documents, a file, or a web address. May be repeated."""
    source: Annotated[Sequence[str], Parameter(negative="")] = ()
    """`KIND=LOCATION`: a source for a worker of your own. May be repeated."""
    deadline: str | None = None
    """The most time it may take: `90s`, `2m`, `1h30m` (default: 10m)."""
    max_tokens: int | None = None
    """The most tokens that models may use."""
    max_subtasks: int | None = None
    """The most subtasks, over all rounds."""
    max_rounds: int | None = None
    """The most rounds of planning and work, 1 to 10 (default: 2)."""
    effort: Effort = "auto"
    """How much is worth spending on it."""
    plan: str | None = None
    """A JSON file with a plan of your own (`-`: standard input): nobody plans then."""
    lane: Lane = "interactive"
    """`batch` waits behind what people wait for."""


class Question(Struct, frozen=True):
    """A task, ready to be submitted."""

    request: str
    sources: tuple[Source, ...]
    limits: Limits
    plan: Plan | None
    lane: Lane


def question(request: str, options: TaskOptions) -> Question:
    """The task in ``request`` and ``options``. Raises :class:`Invalid` in one of its forms, naming the option."""
    if request == STDIN and options.plan == STDIN:
        raise BadSetting("the request and the plan cannot both come from standard input: put one of them into a file")
    return Question(
        request=read_request(request),
        sources=sources(options.code, options.docs, options.source),
        limits=_limits(options),
        plan=None if options.plan is None else read_plan(options.plan),
        lane=options.lane,
    )


def _limits(options: TaskOptions) -> Limits:
    given: dict[str, Any] = {"effort": options.effort}
    if options.deadline is not None:
        given["deadline"] = parse_duration(options.deadline, "--deadline")
    for name in ("max_tokens", "max_subtasks", "max_rounds"):
        if (value := getattr(options, name)) is not None:
            given[name] = value
    try:
        return msgspec.convert(given, Limits)
    except msgspec.ValidationError as e:
        message, _, path = str(e).partition(" - at `$.")
        raise BadSetting(f"--{path.rstrip('`').replace('_', '-')}: {message.lower()}") from e
