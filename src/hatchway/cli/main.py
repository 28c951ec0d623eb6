"""The whole `hatchway` command; `start` is where it begins.

Here and in the `*_commands` modules stand only the command lines: what a command needs is imported when it
runs, so that `hatchway --help` starts fast.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

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
    init_command,
    instance_commands,
    join_commands,
    join_token_commands,
    machine_commands,
    master_key_commands,
    migrate_command,
    policy_commands,
    server_commands,
    store_commands,
    tunnel_commands,
)
from hatchway.cli.completion import UNINSTALL, completion_of_shell
from hatchway.cli.ending import end_in_order, ended, escape_what_cannot_be_shown, fail
from hatchway.cli.help_texts import plain_command, plain_problem
from hatchway.cli.printable import give, say

app = typer.Typer(
    name="hatchway",
    help="EC2 Instance Connect Endpoint for any network: private TCP tunnels decided by IAM policies.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
init_command.register(app)
server_commands.register(app)
account_commands.register(app)
fleet_commands.register(app)
import_commands.register(app)
access_key_commands.register(app)
backup_commands.register(app)
store_commands.register(app)
migrate_command.register(app)
master_key_commands.register(app)
certificate_commands.register(app)
join_commands.register(app)
join_token_commands.register(app)
machine_commands.register(app)
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
        bool, typer.Option("--version", help="Print the version and the commit that it was built from.")
    ] = False,
    uninstall_completion: Annotated[
        # `completion` has done it, before anything is parsed.
        bool, typer.Option(UNINSTALL, help="Remove completion for the current shell.")
    ] = False,
) -> None:
    if version:
        from hatchway.commit import built_from

        commit = built_from()
        say(f"hatchway {__version__}" + (f" (commit {commit})" if commit else ""))
    elif context.invoked_subcommand is None:
        give(f"{context.get_help()}\n")


def main() -> None:
    """Runs the command and ends the process with its exit code: 0, or that of what kept it from its work."""
    end_in_order()
    escape_what_cannot_be_shown()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; its exit code. All that went wrong has been told on standard error then."""

    def command() -> int:
        try:
            with completion_of_shell(arguments) as done:
                if done:
                    return 0
                code = plain_command(app)(list(arguments), prog_name="hatchway", standalone_mode=False)
        except typer.Abort:
            return 130
        except typer.TyperException as failure:
            context: typer.Context | None = getattr(failure, "ctx", None)
            hint = f" (see '{context.command_path} --help')" if context is not None else ""
            option = getattr(failure, "option_name", None)
            if context is not None and context.parent is None and _is_taken(context.command, option):
                return fail(f"{option} is an option of commands: give it after the command" + hint, 2)
            return fail(plain_problem(failure.format_message()).rstrip(".") + hint, failure.exit_code)
        return code if isinstance(code, int) else 0

    return ended(command)


def _is_taken(command: Any, option: str | None) -> bool:
    """Whether a command, or one below it, has the option."""
    if any(option in parameter.opts for parameter in command.params):
        return True
    return any(_is_taken(inner, option) for inner in getattr(command, "commands", {}).values())
