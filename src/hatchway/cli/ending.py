"""How a command ends: by a signal, by an error told in a line, in order."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from hatchway.client.errors import ClientError
    from hatchway.errors import CommandFailed


def hold_standard_streams() -> None:
    """Has each standard stream that is closed lead nowhere: what is opened next, a connection perhaps, would
    get its number and be taken for it.

    What stands there can be neither read from nor written to as the stream would be, so that it does not pass
    for an empty input, or for an output that takes all.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.set_inheritable(os.open(os.devnull, mode), True)
    if sys.stderr is None:
        # What is printed nowhere would be printed on standard output.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


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
    except KeyboardInterrupt:
        return 130
    except NoAnswer as unanswered:
        _fail_of(unanswered.problem)
        return NoAnswer.exit_code
    except Exception as problem:
        return _fail_of(problem)
    return code


def _fail_of(problem: Exception) -> int:
    """Tells what a command failed of; gives the code."""
    if isinstance(problem, BrokenPipeError):
        # Whoever read our output has gone.
        abandon(sys.stdout)
        return 1
    from hatchway.client.errors import ClientError

    if isinstance(problem, ClientError):
        known: CommandFailed | None = failure_of_client(problem)
    else:
        # A client's errors need nothing of what a server's do.
        from hatchway.failures import failure_of

        known = failure_of(problem)
    if known is not None:
        _settle_output()
        return fail(str(known), known.exit_code)
    import traceback

    traceback.print_exception(problem)
    return fail("this is a defect of Hatchway: please report it, with the lines above", 1)


def failure_of_client(problem: "ClientError") -> "CommandFailed":
    """What a command fails with for an error of the client: its line, and its exit code."""
    from hatchway.errors import BadUsage, CommandFailed, TunnelFailed

    kinds = {kind.exit_code: kind for kind in (CommandFailed, BadUsage, TunnelFailed)}
    return kinds[problem.exit_code](str(problem))


class NoAnswer(Exception):
    """What kept a command from answering a question, in `problem`."""

    exit_code = 2

    def __init__(self, problem: Exception) -> None:
        super().__init__(problem)
        self.problem = problem


@contextmanager
def errors_are_no_answers() -> Iterator[None]:
    """Around a command that answers a question by its exit code: 1 is its no, so whatever kept it from an
    answer, or the answer from being written, ends it with 2, as with diff and grep.

    Raises:
        NoAnswer: in the place of any error.
    """
    import typer

    try:
        try:
            yield
        except typer.Exit:
            if sys.stdout is not None:
                sys.stdout.flush()
            raise
    except (typer.Exit, typer.Abort, typer.TyperException):
        raise
    except Exception as problem:
        raise NoAnswer(problem) from problem


def fail(message: str, code: int) -> int:
    """Tells the message; gives the code."""
    tell(message)
    return code


def tell(message: str) -> None:
    """Says it on standard error, in lines that begin with the program's name; to nobody where that takes
    nothing, which changes nothing of how the command ends."""
    around = "\r" if _is_raw_terminal() else ""
    # A wrong file may have several problems, each of which is one line.
    lines = [f"hatchway: {_shown(' '.join(line.split()))}{around}" for line in message.splitlines()]
    try:
        print("\n".join([around, *lines] if around else lines), file=sys.stderr, flush=True)
    except (OSError, ValueError):
        abandon(sys.stderr)


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


def _settle_output() -> None:
    """Output that could not be written, as on a full disk, would be tried again on the way out and change the
    exit code."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        abandon(sys.stdout)


def abandon(stream: TextIO) -> None:
    """Has Python not complain, on its way out, of what cannot be written to a stream."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _shown(text: str) -> str:
    """A text, of a file's perhaps, in which nothing but what is to be read goes to a terminal."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )
