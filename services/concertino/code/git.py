"""The git program, run so that nothing in a repository can make it run anything else, ask a question, or go on for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import Mapping

from concertino.contracts.errors import DeadlineExceeded, SourceError
from concertino.masking import without_credentials

_TRANSPORTS = "https:http:ssh:git:file"
_KEPT = frozenset(
    {"GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_HTTP_USER_AGENT"}
)
"""Of the operator's ``GIT_*`` variables: how to reach servers. The others would point git at other repositories."""

_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.autocrlf": "false",
    "credential.interactive": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "gc.auto": "0",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "safe.bareRepository": "explicit",
    "safe.directory": "*",
    "submodule.recurse": "false",
}
"""``fetch.unpackLimit``: what is fetched stays one pack, so that the limit of a file is one of it all. ``safe.directory``: git
asks whether a repository's own configuration may be obeyed; here none of it ever is."""

_CHUNK = 1 << 16


class GitFailed(Exception):
    """Git said no. The text is its reason, in one line, without passwords. Callers say what that means: it goes no further."""


async def git(
    *arguments: str,
    cwd: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    personal: bool = False,
    seconds: float = 60,
    most_output: int = 64 << 20,
    most_written: int | None = None,
) -> bytes:
    """What ``git arguments`` prints.

    ``personal``: with the operator's own configuration (proxies, credential helpers), as needed to reach a server; otherwise
    with none. ``most_written``: bytes in any one file it writes, a pack above all. Raises :class:`GitFailed`,
    :class:`DeadlineExceeded` after ``seconds``, and :class:`SourceError` at a size limit or where there is no git.
    """
    command = ["git", "--no-pager", *(part for k, v in _SETTINGS.items() for part in ("-c", f"{k}={v}")), *arguments]
    if most_written is not None:
        blocks = str(most_written // 512 + 1)
        command = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', blocks, *command]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=_environment(personal) | dict(environment or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # no terminal to ask at, and one group to end
        )
    except FileNotFoundError as e:
        raise SourceError("the program git is not installed here: install it, or give the code as a directory") from e
    try:
        async with asyncio.timeout(seconds):
            output, errors = await _collect(process, most_output)
            status = await process.wait()
    except TimeoutError as e:
        raise DeadlineExceeded(f"git {arguments[0]} was not done within {seconds:g} seconds") from e
    finally:
        if process.returncode is None:
            _end(process)
            await process.wait()
    if status:
        raise GitFailed(_reason(errors) or f"git {arguments[0]} ended with status {status}")
    return output


async def _collect(process: asyncio.subprocess.Process, most: int) -> tuple[bytes, bytes]:
    assert process.stdout
    assert process.stderr
    async with asyncio.TaskGroup() as group:
        errors = group.create_task(_last(process.stderr))
        output = bytearray()
        while chunk := await process.stdout.read(_CHUNK):
            output += chunk
            if len(output) > most:
                _end(process)
                break
    if len(output) > most:
        raise SourceError(f"git printed more than {most} bytes: ask for less, a folder or a single file")
    return bytes(output), errors.result()


def _end(process: asyncio.subprocess.Process) -> None:
    """With its children."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
        os.killpg(process.pid, signal.SIGKILL)


async def _last(stream: asyncio.StreamReader) -> bytes:
    """The end of a stream, read to its end so that the writer never waits."""
    kept = b""
    while chunk := await stream.read(_CHUNK):
        kept = (kept + chunk)[-_CHUNK:]
    return kept


def _environment(personal: bool) -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if (not k.startswith("GIT_") or k in _KEPT) and k not in {"SSH_ASKPASS", "DISPLAY"}
    }
    nobody = {} if personal else {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ATTR_NOSYSTEM": "1"}
    return (
        kept
        | nobody
        | {
            "GIT_ALLOW_PROTOCOL": _TRANSPORTS,
            "GIT_ASKPASS": "",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
            "SSH_ASKPASS_REQUIRE": "never",
        }
    )


_SAYS = re.compile(r"^(?:fatal|error|ERROR|remote: ERROR|remote: error|remote: fatal): *(.+)$", re.MULTILINE)


def _reason(errors: bytes) -> str:
    """The line that tells most: the first complaint, or else the last line."""
    text = errors.decode("utf-8", "replace").replace("\r", "\n").strip()
    said = _SAYS.search(text)
    line = said[1] if said else text.rpartition("\n")[2]
    return without_credentials(line)[:300]


_PASSING = re.compile(
    r"could(n.t| not) (resolve host|connect)|failed to connect|timed? ?out|connection (refused|reset|closed)|early eof"
    r"|rpc failed|hung up unexpectedly|unexpected disconnect|error: (429|5\d\d)|temporary failure|network is unreachable"
    r"|no route to host|gnutls|ssl_error|no space left|disk quota",
    re.IGNORECASE,
)


def is_passing(failure: GitFailed) -> bool:
    """Whether the network, the server or a full disk was at fault, so that the same may succeed later."""
    return _PASSING.search(str(failure)) is not None
