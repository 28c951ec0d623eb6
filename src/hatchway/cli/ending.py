"""How a command ends: by a signal, by an error told in a line, in order."""

import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType


def end_in_order() -> None:
    """Has SIGTERM and SIGHUP end the process by way of every `finally`, as Ctrl-C does: none leaves a key."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    # Windows has no SIGHUP.
    for number in filter(None, (signal.SIGTERM, getattr(signal, "SIGHUP", None))):
        # Under nohup it stays ignored.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)


def escape_what_cannot_be_shown() -> None:
    """What the terminal's encoding lacks is written as an escape, rather than not at all."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def ended(command: Callable[[], int]) -> int:
    """Runs a command; its exit code. All that went wrong has been told on standard error then."""
    try:
        code = command()
        # Of a process that was started with its output closed it is None.
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _abandon_output()
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as problem:
        from hatchway.failures import failure_of

        known = failure_of(problem)
        if known is not None:
            # Output that could not be written, as on a full disk, would be tried again on the way out.
            if isinstance(problem, OSError):
                _abandon_output()
            return fail(str(known), known.exit_code)
        import traceback

        traceback.print_exc()
        return fail("this is a defect of Hatchway: please report it, with the lines above", 1)
    return code


def fail(message: str, code: int) -> int:
    """Tells the message; gives the code."""
    tell(message)
    return code


def tell(message: str) -> None:
    """Says it on standard error, in lines that begin with the program's name."""
    around = "\r" if _is_raw_terminal() else ""
    if around:
        print("\r", file=sys.stderr)
    # A wrong file may have several problems, each of which is one line.
    for line in message.splitlines():
        print(f"hatchway: {_shown(' '.join(line.split()))}{around}", file=sys.stderr)


def _is_raw_terminal() -> bool:
    """Whether lines begin where the last one ended, as on the terminal of an ssh that goes on."""
    try:
        import termios
    except ImportError:
        # Windows has none.
        return False
    try:
        output_modes: int = termios.tcgetattr(sys.stderr.fileno())[1]
    except (OSError, ValueError, AttributeError, termios.error):
        # It is no terminal, or closed.
        return False
    return not output_modes & termios.OPOST


def _abandon_output() -> None:
    """Has Python not complain, on its way out, of output that whoever read it no longer takes."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _shown(text: str) -> str:
    """A text, of a file's perhaps, in which nothing but what is to be read goes to a terminal."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )
