"""``concertino``: runs a command, and turns whatever it raises into one clear line and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from concertino.cli.plain import forgiving

WRONG_USAGE, OTHER, TRY_LATER, INTERRUPTED, BROKEN_PIPE = 2, 1, 75, 130, 141


def main() -> None:
    """The entry point of the command line."""
    # Where a stream was closed by whoever started us, nobody wants what goes there.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123  (open for as long as the process lives)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    forgiving(sys.stdout, sys.stderr)
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while all that a command needs is imported
        code = INTERRUPTED
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as e:
        code = _report(f"what was printed could not be written: {e.strerror}", OTHER, e)
        _forget_output()
    if code == BROKEN_PIPE:
        _forget_output()
    sys.exit(code)


def _forget_output() -> None:
    """What is left in the buffer must not be tried again at exit: whoever reads has seen enough, or the disk is full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: Sequence[str]) -> int:
    """Run one command. Its exit status; errors are reported on standard error."""
    from cyclopts import CycloptsError

    from concertino.cli.app import app
    from concertino.contracts.errors import ConcertinoError, Invalid, QueueFull

    for argument in arguments:
        if not _utf8(argument):
            shown = argument.encode("utf-8", "backslashreplace").decode()
            return _report(f"{shown} is not UTF-8, and messages are: rename the file, or correct the text", WRONG_USAGE, None)
    try:
        # A lone "-" is the request from standard input, and not the beginning of an option.
        tokens = [argument if argument != "-" else "@-" for argument in arguments]
        code = app(tokens, exit_on_error=False, print_error=False)
    except CycloptsError as e:
        return _report(f"{_one_line(e)} See `{_help(arguments, app)}`.", WRONG_USAGE, e)
    except Invalid as e:
        return _report(_one_line(e), WRONG_USAGE, e)
    except QueueFull as e:
        return _report(f"{_one_line(e)}. --wait 5m tries for that long", TRY_LATER, e)
    except ConcertinoError as e:
        return _report(_one_line(e), OTHER, e)
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as e:
        return _report(f"{e.strerror or e}{f': {e.filename}' if e.filename else ''}", OTHER, e)
    except Exception as e:  # noqa: BLE001  (reported, and never a traceback)
        return _report(f"{type(e).__name__}: {_one_line(e)}. CTN_LOG_LEVEL=debug shows where", OTHER, e)
    return code if isinstance(code, int) else 0


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _report(line: str, code: int, error: BaseException | None) -> int:
    if error and os.environ.get("CTN_LOG_LEVEL") == "debug":
        import traceback

        traceback.print_exception(error)
    print(f"concertino: {line}", file=sys.stderr)
    return code


def _one_line(error: BaseException) -> str:
    from concertino.cli.show.text import one_line

    return one_line(str(error)) or type(error).__name__


def _help(arguments: Sequence[str], commands: Iterable[str]) -> str:
    return " ".join(["concertino", *(name for name in arguments[:1] if name in list(commands)), "--help"])


if __name__ == "__main__":
    main()
