"""The commands and their options. What they do is imported when they are called: `--help` is to be fast."""

# No `from __future__ import annotations`: the parser reads the annotations as they are.

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import App, Parameter

from concertino.cli.question import RedriveOptions, TaskOptions, question
from concertino.contracts.errors import BadSetting

Nats: TypeAlias = Annotated[str | None, Parameter(name="--nats")]
Json: TypeAlias = Annotated[bool, Parameter(name="--json", negative="")]
Quiet: TypeAlias = Annotated[bool, Parameter(negative="")]

app = App(
    name="concertino",
    help="Questions about code and documents, answered with evidence by services on NATS JetStream.",
    version=lambda: version("concertino"),
    help_format="markdown",
    default_parameter=Parameter(show_default=False),
    result_action="return_value",
)


@app.command
def ask(
    request: str,
    /,
    *,
    task: TaskOptions = TaskOptions(),  # noqa: B008  (frozen)
    id: str | None = None,  # noqa: A002
    json: Json = False,
    quiet: Quiet = False,
    nats: Nats = None,
) -> int:
    """Ask, watch the work, and print a report with its evidence.

    Without a bus, everything is started for this one question and taken down again. The exit status is
    0 answered, 3 partial, 4 failed, 5 cancelled, 2 wrong usage, 75 where the queues are full (nothing was submitted: try again
    later, or with `--wait`), 1 anything else.

    Parameters
    ----------
    request
        What you want to know. `-` reads it from standard input, `@FILE` from a file, and `@FOLDER` takes request, sources
        and limits from the `task.toml` in it.
    id
        An id of your own: asking the same again is harmless then, and shows how far it came.
    json
        Print one JSON object instead of the report.
    quiet
        No progress on standard error.
    nats
        The bus to use (default: `CTN_NATS_URL`, else one of its own).
    """
    from concertino.cli import asking

    return asyncio.run(asking.ask(question(request, task), nats=nats, task=id, as_json=json, quiet=quiet))


@app.command
def plan(
    request: str,
    /,
    *,
    task: TaskOptions = TaskOptions(),  # noqa: B008
    json: Json = False,
    quiet: Quiet = False,
    nats: Nats = None,
) -> int:
    """Print the plan for a question. Nothing of it is run.

    Parameters
    ----------
    request
        What you want to know. `-` reads it from standard input, `@FILE` from a file, and `@FOLDER` takes request, sources
        and limits from the `task.toml` in it.
    json
        Print the same JSON object as `ask`.
    quiet
        No progress on standard error.
    nats
        The bus to use (default: `CTN_NATS_URL`, else one of its own).
    """
    from concertino.cli import asking

    return asyncio.run(asking.plan(question(request, task), nats=nats, as_json=json, quiet=quiet))


@app.command
def submit(
    request: str,
    /,
    *,
    task: TaskOptions = TaskOptions(),  # noqa: B008
    id: str | None = None,  # noqa: A002
    nats: Nats = None,
) -> int:
    """Submit a question, and print the id of its task.

    Parameters
    ----------
    request
        What you want to know. `-` reads it from standard input, `@FILE` from a file, and `@FOLDER` takes request, sources
        and limits from the `task.toml` in it.
    id
        An id of your own: submitting the same again is harmless then.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import looking

    return asyncio.run(looking.submit(question(request, task), nats=nats, task=id))


@app.command
def follow(task: str, /, *, json: Json = False, quiet: Quiet = False, nats: Nats = None) -> int:
    """Watch a task until its outcome, and print its report.

    Exits like `ask`. Ctrl-C leaves the task alone.

    Parameters
    ----------
    task
        The id of the task.
    json
        Print one JSON object instead of the report.
    quiet
        No progress on standard error.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import asking

    return asyncio.run(asking.watch(task, nats=nats, as_json=json, quiet=quiet))


@app.command
def show(task: str, /, *, json: Json = False, nats: Nats = None) -> int:
    """Print a task as the log has it now: its tree and report.

    Parameters
    ----------
    task
        The id of the task.
    json
        Print the same JSON object as `ask`.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import looking

    return asyncio.run(looking.show(task, nats=nats, as_json=json))


@app.command
def trace(
    task: str,
    /,
    *,
    html: str = "",
    all: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002
    json: Json = False,
    nats: Nats = None,
) -> int:
    """Print where the time of a task went: who waited, who worked, what was tried again, and what it cost.

    It is read from the task's log alone: while the task runs, and for as long as its log is kept.

    Parameters
    ----------
    task
        The id of the task.
    html
        Write a page to this file instead; `-` is standard output.
    all
        Show every piece of work, however many there are.
    json
        Print a JSON object.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import looking

    html = "-" if html == "@-" else html  # how `run` passes on a lone "-"
    return asyncio.run(looking.trace(task, nats=nats, html=html, as_json=json, everything=all))


@app.command
def cancel(task: str, /, *, reason: str = "", nats: Nats = None) -> int:
    """Cancel a task. Harmless where it has ended.

    Parameters
    ----------
    task
        The id of the task.
    reason
        Why: it stands in the outcome.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import looking

    return asyncio.run(looking.cancel(task, nats=nats, reason=reason))


@app.command
def finish(task: str, /, *, reason: str = "", nats: Nats = None) -> int:
    """Have a task stop here and write up what there is. Harmless where it has ended.

    Nothing is begun any more; what is at work has some seconds to write up what it has read. The report says what is missing.

    Parameters
    ----------
    task
        The id of the task.
    reason
        Why: it stands in the outcome.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import looking

    return asyncio.run(looking.finish(task, nats=nats, reason=reason))


@app.command(name="list")
def list_(
    *,
    since: Annotated[str, Parameter(allow_leading_hyphen=True)] = "1d",
    limit: int = 1000,
    json: Json = False,
    nats: Nats = None,
) -> int:
    """List tasks, newest first.

    Parameters
    ----------
    since
        How far back: `30m`, `12h`, `7d`.
    limit
        How many, at the most.
    json
        Print a JSON array.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import looking
    from concertino.cli.durations import parse_duration

    return asyncio.run(looking.tasks(nats=nats, since=parse_duration(since, "--since"), limit=limit, as_json=json))


@app.command
def failures(
    *,
    since: Annotated[str, Parameter(allow_leading_hyphen=True)] = "1d",
    kind: str = "",
    task: str = "",
    limit: int = 100,
    json: Json = False,
    nats: Nats = None,
) -> int:
    """List work that failed, newest first, with its error, its attempts and what models took for it.

    Parameters
    ----------
    since
        How far back: `30m`, `12h`, `7d`.
    kind
        Of this kind of worker alone; `plan` and `synthesize` are kinds, too.
    task
        Of this task alone, however old.
    limit
        How much of it, at the most.
    json
        Print a JSON array.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import failing
    from concertino.cli.durations import parse_duration

    seconds = parse_duration(since, "--since")
    return asyncio.run(failing.failures(nats=nats, since=seconds, kind=kind, task=task, limit=limit, as_json=json))


@app.command
def redrive(
    task: str | None = None,
    /,
    *subtasks: str,
    limits: RedriveOptions = RedriveOptions(),  # noqa: B008  (frozen)
    all: Annotated[bool, Parameter(negative="")] = False,  # noqa: A002
    since: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    kind: str = "",
    detach: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
    quiet: Quiet = False,
    nats: Nats = None,
) -> int:
    """Run again what failed in a task, or is missing: as a new task, which begins with the results that are there.

    It is followed like that of `ask`, and exits alike. Ctrl-C cancels it.

    Parameters
    ----------
    task
        The id of the task. It must be over.
    subtasks
        Run these of its subtasks again, whatever became of them, and what depends on them (default: all that failed).
    all
        Every task with failed work instead, but for those that were run again before. They are not followed.
    since
        With `--all`: how far back (default: 1d).
    kind
        With `--all`: tasks with failed work of this kind, and of them this work alone.
    detach
        Print the id of the new task, and do not wait for it.
    json
        Print one JSON object instead of the report.
    quiet
        No progress on standard error.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import failing
    from concertino.cli.durations import parse_duration

    if all:
        if task is not None:
            raise BadSetting("redrive: name a task, or say --all: not both")
        seconds = parse_duration("1d" if since is None else since, "--since")
        return asyncio.run(failing.redrive_all(limits, since=seconds, kind=kind, nats=nats))
    if stray := [option for option, given in (("--since", since is not None), ("--kind", kind)) if given]:
        raise BadSetting(f"redrive: {' and '.join(stray)} can only be said with --all")
    if task is None:
        raise BadSetting("redrive: name the task to run again (`concertino failures` lists them), or say --all")
    if detach:
        return asyncio.run(failing.redrive(task, subtasks, limits, nats=nats))
    from concertino.cli import asking

    return asyncio.run(asking.again(task, subtasks, limits, nats=nats, as_json=json, quiet=quiet))


@app.command
def workers(*, json: Json = False, nats: Nats = None) -> int:
    """List the kinds of worker on the bus, with their queues.

    Parameters
    ----------
    json
        Print a JSON array.
    nats
        The bus to use (default: `CTN_NATS_URL`, else nats://127.0.0.1:4222).
    """
    from concertino.cli import looking

    return asyncio.run(looking.workers(nats=nats, as_json=json))


@app.command
def schema(*, asyncapi: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print the JSON Schema of every message.

    Parameters
    ----------
    asyncapi
        Print AsyncAPI 3 instead: subjects, who sends and who receives, headers and messages.
    """
    from concertino.cli.output import write_json
    from concertino.contracts import schema as schemas
    from concertino.runtime.settings import settings

    write_json(schemas.asyncapi(settings().subjects, version("concertino")) if asyncapi else schemas.json_schema())
    return 0


@app.command
def up(
    *,
    port: int | None = None,
    store: Path | None = None,
    worker: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    nats: Nats = None,
) -> int:
    """Run the bus and every service here, until Ctrl-C.

    Ctrl-C drains: running work is finished, or handed back.

    Parameters
    ----------
    port
        Where the embedded NATS server listens, on the loopback address (default: 4222; 0: any free one).
    store
        The folder that keeps tasks and their evidence (default: `embedded` in the cache folder).
    worker
        A worker of your own to run beside, as a file or a module. May be repeated.
    nats
        Use this bus and embed none (default: `CTN_NATS_URL`, if it is set and neither `--port` nor `--store` is given).
    """
    from concertino.cli import upping

    return asyncio.run(upping.up(nats=nats, port=port, store=store, workers=worker))
