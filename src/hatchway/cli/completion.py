"""`--show-completion`, which is typer's, also of a shell that is named; `--install-completion` and back."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from hatchway.cli.printable import say
from hatchway.errors import BadUsage, CommandFailed, reason

UNINSTALL: Final = "--uninstall-completion"
_INSTALL: Final = "--install-completion"
_OPTIONS: Final = frozenset({"--show-completion", _INSTALL, UNINSTALL})
_SHELLS: Final = ("bash", "zsh", "fish", "powershell", "pwsh")
_NAMED: Final = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""Where it is set when the command is made, typer's options take a shell's name, and look for none."""


@contextmanager
def completion_of_shell(arguments: Sequence[str]) -> Iterator[bool]:
    """Within it the command is made and run, unless it is given that it is done already.

    Raises:
        BadUsage: completion is asked for of what is no shell that has any.
        CommandFailed: it cannot be installed.
    """
    option, equals, shell = (arguments[0] if arguments else "").partition("=")
    if option not in _OPTIONS:
        yield False
        return
    if equals or len(arguments) > 1:
        shell = shell if equals else arguments[1]
        if shell not in _SHELLS:
            raise BadUsage(f"there is no completion for {shell!r}, but for {', '.join(_SHELLS)}")
        os.environ[_NAMED] = "1"
    try:
        yield option != "--show-completion" and _changed(option, shell)
    except OSError as error:
        if error.filename is None:
            # Of our output.
            raise
        raise CommandFailed(
            f"cannot use {os.fsdecode(error.filename)}: {reason(error)}: put what --show-completion prints"
            " where your shell reads it"
        ) from error
    except RuntimeError as error:
        # Of pathlib, in typer.
        raise CommandFailed("there is no home directory to install it in: set HOME") from error
    finally:
        os.environ.pop(_NAMED, None)


def _changed(option: str, shell: str) -> bool:
    """Installs or takes away. False for PowerShell, which typer knows how to install it for."""
    from typer._completion_shared import _get_shell_name, get_completion_script

    from hatchway.client.setup.shell_completion import SHELLS, install, uninstall

    shell = shell or _get_shell_name() or ""
    if shell not in SHELLS:
        if shell in _SHELLS and option == _INSTALL:
            return False
        raise BadUsage(f"which shell is it? Say {option} {'|'.join(SHELLS)}")
    if option == _INSTALL:
        script = get_completion_script(prog_name="hatchway", complete_var="_HATCHWAY_COMPLETE", shell=shell)
        say(f"{shell} has its completion in {install(shell, script)}; the next {shell} completes")
        return True
    taken = uninstall(shell)
    if not taken:
        raise CommandFailed(f"there is no completion of {shell} to take away: it was not installed here")
    for path in taken:
        say(f"Took away what was written to {path}")
    return True
