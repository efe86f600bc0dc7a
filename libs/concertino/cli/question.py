"""What is asked, put together from the options, or from a file that holds them, and checked before anything is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import msgspec
from cyclopts import Parameter
from msgspec import Struct

from concertino.cli.durations import parse_duration
from concertino.cli.inputs import STDIN, checked, read_plan, read_request
from concertino.cli.scenario import read_scenario, scenario_file
from concertino.cli.sources import code_source, distinct, docs_source, other_source, web_source
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
    url: Annotated[Sequence[str], Parameter(negative="")] = ()
    """A page on the web, to be read first. May be repeated."""
    source: Annotated[Sequence[str], Parameter(negative="")] = ()
    """`KIND=LOCATION`: a source for a worker of your own. May be repeated."""
    deadline: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """The most time it may take: `90s`, `2m`, `1h30m` (default: 10m)."""
    max_tokens: int | None = None
    """The most tokens that models may read and write for it, all together. What is there by then is written up."""
    max_cost: float | None = None
    """The same in US dollars: `2`, `0.50`."""
    max_subtasks: int | None = None
    """The most subtasks, over all rounds."""
    max_rounds: int | None = None
    """The most rounds of planning and work, 1 to 10 (default: 2)."""
    max_queued: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """The most time that planning or a subtask may wait for a worker: `30s`, `2m`. What waits longer has failed."""
    effort: Effort | None = None
    """How much is worth spending on it (default: auto)."""
    model: str | None = None
    """The model to ask for all of it, as its provider names it (default: as each service is configured)."""
    plan: str | None = None
    """A JSON file with a plan of your own (`-`: standard input): nobody plans then."""
    lane: Lane | None = None
    """`batch` waits behind what people wait for (default: interactive)."""
    wait: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Where the queues are full: for how long to try again, as `5m` (default: not at all)."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RedriveOptions:
    """What a task that is run again is allowed, where it is not what the first was."""

    deadline: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """The most time it may take: `90s`, `2m`, `1h30m` (default: as before)."""
    max_tokens: int | None = None
    """The most tokens that models may read and write for it (default: as before; what was spent before does not count)."""
    max_cost: float | None = None
    """The same in US dollars."""
    model: str | None = None
    """The model to ask for all of it, as its provider names it (default: as before)."""
    wait: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    """Where the queues are full: for how long to try again, as `5m` (default: not at all)."""

    def given(self) -> dict[str, Any]:
        """The arguments of :meth:`concertino.client.Client.redrive`. Raises :class:`BadSetting`, naming the option."""
        given = {name: value for name in ("max_tokens", "max_cost", "model") if (value := getattr(self, name)) is not None}
        for name in ("deadline", "wait"):
            if (text := getattr(self, name)) is not None:
                given[name] = parse_duration(text, f"--{name}")
        for name in given.keys() - {"wait"}:
            _fits(name, given[name], f"--{name.replace('_', '-')}")
        return given


class Question(Struct, frozen=True):
    """A task, ready to be submitted."""

    request: str
    sources: tuple[Source, ...]
    limits: Limits
    plan: Plan | None
    lane: Lane
    wait: float = 0.0

    @property
    def kinds(self) -> set[str]:
        """Those that its sources and its plan name."""
        planned = self.plan.subtasks if self.plan else ()
        sources = (*self.sources, *(source for subtask in planned for source in subtask.sources or ()))
        return {source.kind for source in sources} | {subtask.kind for subtask in planned}


_SOURCES: dict[str, Callable[[str, str], Source]] = {
    "code": code_source,
    "docs": docs_source,
    "url": web_source,
    "source": other_source,
}


_TIME, _COUNT = "a time above 0 and of 7d at the most, as 90s, 2m or 1h30m", "a whole number, 1 or more"
_TAKES = {
    "deadline": _TIME,
    "max_queued": _TIME,
    "max_tokens": _COUNT,
    "max_cost": "US dollars above 0, as 2 or 0.50",
    "max_subtasks": _COUNT,
    "max_rounds": "a whole number from 1 to 10",
    "effort": "auto, low, medium or high",
    "model": "a name of 128 characters at the most, without spaces",
}
"""What each limit can be, for people."""


class _Given(NamedTuple):
    """A value and what it is called where it stands: for errors."""

    value: Any
    named: str


def question(request: str, options: TaskOptions) -> Question:
    """The task in ``request`` and ``options``; what the file that a request names says, the options replace.

    Raises :class:`Invalid` in one of its forms, naming the option or the field.
    """
    if request == STDIN and options.plan == STDIN:
        raise BadSetting("the request and the plan cannot both come from standard input: put one of them into a file")
    path = scenario_file(request)
    scenario = None if path is None else read_scenario(path)

    def given(field: str) -> _Given:
        value = getattr(options, field)
        if scenario is None or not (value is None or value == ()):
            return _Given(value, f"--{field.replace('_', '-')}")
        return _Given(getattr(scenario, field), f"{path}: {field}")

    plan = given("plan").value
    return Question(
        request=read_request(request) if scenario is None else checked(scenario.request),
        sources=distinct(_sources(given)),
        limits=_limits(given),
        plan=None if plan is None else read_plan(plan),
        lane=given("lane").value or "interactive",
        wait=parse_duration(options.wait, "--wait") if options.wait is not None else 0.0,
    )


def _sources(given: Callable[[str], _Given]) -> Iterator[Source]:
    for field, read in _SOURCES.items():
        texts, named = given(field)
        yield from (read(text, named) for text in texts)


def _limits(given: Callable[[str], _Given]) -> Limits:
    fields = {name: found for name in Limits.__struct_fields__ if (found := given(name)).value is not None}
    values = {name: found.value for name, found in fields.items()}
    values |= {name: parse_duration(*fields[name]) for name in ("deadline", "max_queued") if name in fields}
    for name, value in values.items():
        _fits(name, value, fields[name].named)
    return msgspec.convert(values, Limits)


def _fits(name: str, value: Any, named: str) -> None:
    """Raise :class:`BadSetting`, which says what is ``named``, where the limit ``name`` cannot have that ``value``."""
    try:
        msgspec.convert({name: value}, Limits)
    except msgspec.ValidationError as e:
        raise BadSetting(f"{named}: write {_TAKES[name]}") from e
