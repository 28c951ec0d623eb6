"""Telling on a terminal that something takes its time, and what it is at."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[str], None]
"""Says what comes next, in a few words."""


def colours() -> bool:
    """Whether what goes to standard output may have colours (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@contextmanager
def working(first: str) -> Iterator[Tell]:
    """Shows on standard error, if that is a terminal, what is being done and for how long it has been."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(first, total=None)
        yield lambda next_: progress.update(task, description=next_)
