"""`--show-completion` and `--install-completion`, which are typer's: also of a shell that is named."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from hatchway.errors import BadUsage, CommandFailed

_OPTIONS: Final = frozenset({"--show-completion", "--install-completion"})
_SHELLS: Final = ("bash", "zsh", "fish", "powershell", "pwsh")
_NAMED: Final = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""Where it is set when the command is made, typer's options take a shell's name, and look for none."""


@contextmanager
def completion_of_shell(arguments: Sequence[str]) -> Iterator[None]:
    """Within it the command is made and run.

    Raises:
        BadUsage: completion is asked for of what is no shell that has any.
        CommandFailed: it cannot be installed.
    """
    option, equals, shell = (arguments[0] if arguments else "").partition("=")
    if option not in _OPTIONS:
        yield
        return
    if equals or len(arguments) > 1:
        shell = shell if equals else arguments[1]
        if shell not in _SHELLS:
            raise BadUsage(f"there is no completion for {shell!r}, but for {', '.join(_SHELLS)}")
        os.environ[_NAMED] = "1"
    try:
        yield
    except UnicodeDecodeError as error:
        raise CommandFailed(
            "your shell's start file is not UTF-8: add what --show-completion prints"
        ) from error
    except RuntimeError as error:
        # Of pathlib.
        raise CommandFailed("there is no home directory to install it in: set HOME") from error
    finally:
        os.environ.pop(_NAMED, None)
