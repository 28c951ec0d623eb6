"""The tree of all commands, made once for a process and its forks: that takes longer than most commands."""

import os
from functools import cache
from typing import Any

import typer

from hatchway.cli.completion import _NAMED
from hatchway.cli.help_texts import plain_command

_made_once = cache(plain_command)


def command(app: typer.Typer) -> Any:
    """As `plain_command` has it. Options of completion differ where a shell is named."""
    return plain_command(app) if _NAMED in os.environ else _made_once(app)
