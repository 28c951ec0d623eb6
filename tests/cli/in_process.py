"""Runs a command in this process, as `hatchway.cli.main.main` would: many times faster than as a process."""

import contextlib
import gc
import io
import sys
from dataclasses import dataclass
from unittest import mock

from tests.cli.command_tree import command

from hatchway.cli.main import main


@dataclass(frozen=True)
class Ran:
    code: int
    output: str
    errors: str


def run(*arguments: str) -> Ran:
    """What the command said, and what it ended with."""
    output, errors = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["hatchway", *arguments]),
        # It would keep the handlers of this process.
        mock.patch("hatchway.cli.main.end_in_order"),
        mock.patch("hatchway.cli.main.plain_command", command),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    # A process that ends would have closed its connections, of which a server takes only so many.
    gc.collect()
    assert isinstance(code, int)
    return Ran(code, output.getvalue(), errors.getvalue())
