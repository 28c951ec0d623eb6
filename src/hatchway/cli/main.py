"""The `hatchway` command.

Here and in the `*_commands` modules stand only the command lines: what a command needs is imported when it
runs, so that `hatchway --help` and `hatchway open-tunnel` start fast.
"""

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Annotated

import typer

from hatchway import __version__
from hatchway.cli import (
    access_key_commands,
    account_commands,
    backup_commands,
    certificate_commands,
    client_commands,
    demo_command,
    doctor_command,
    event_commands,
    fleet_commands,
    host_commands,
    import_commands,
    instance_commands,
    master_key_commands,
    policy_commands,
    server_commands,
    tunnel_commands,
)
from hatchway.cli.help_texts import plain_command

app = typer.Typer(
    name="hatchway",
    help="EC2 Instance Connect Endpoint for any network: private TCP tunnels decided by IAM policies.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
server_commands.register(app)
account_commands.register(app)
fleet_commands.register(app)
import_commands.register(app)
access_key_commands.register(app)
backup_commands.register(app)
master_key_commands.register(app)
certificate_commands.register(app)
host_commands.register(app)
instance_commands.register(app)
client_commands.register(app)
tunnel_commands.register(app)
event_commands.register(app)
policy_commands.register(app)
doctor_command.register(app)
demo_command.register(app)


@app.callback(invoke_without_command=True)
def hatchway(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version, with the commit that it was built from.")
    ] = False,
) -> None:
    if version:
        from hatchway.commit import built_from

        commit = built_from()
        typer.echo(f"hatchway {__version__}" + (f" (commit {commit})" if commit else ""))
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Runs the command and ends the process with its exit code: 0, or that of what kept it from its work."""
    _end_in_order()
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding lacks is written as an escape, rather than not at all.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; its exit code. All that went wrong has been told on standard error then."""
    try:
        code = plain_command(app)(list(arguments), prog_name="hatchway", standalone_mode=False)
        # Of a process that was started with its output closed it is None.
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _abandon_output()
        return 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except typer.TyperException as failure:
        context: typer.Context | None = getattr(failure, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context is not None else ""
        return _fail(failure.format_message().rstrip(".") + hint, failure.exit_code)
    except Exception as problem:
        from hatchway.failures import failure_of

        known = failure_of(problem)
        if known is not None:
            # Output that could not be written, as on a full disk, would be tried again on the way out.
            if isinstance(problem, OSError):
                _abandon_output()
            return _fail(str(known), known.exit_code)
        traceback.print_exc()
        return _fail("this is a defect of Hatchway: please report it, with the lines above", 1)
    return code if isinstance(code, int) else 0


def _abandon_output() -> None:
    """Has Python not complain, on its way out, of output that whoever read it no longer takes."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_in_order() -> None:
    """Has SIGTERM and SIGHUP end the process by way of every `finally`, as Ctrl-C does: none leaves a key."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup it stays ignored.
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, leave)


def _fail(message: str, code: int) -> int:
    # A wrong file may have several problems, each of which is one line.
    for line in message.splitlines():
        print(f"hatchway: {_shown(' '.join(line.split()))}", file=sys.stderr)
    return code


def _shown(text: str) -> str:
    """A text, of a file's perhaps, in which nothing but what is to be read goes to a terminal."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )
