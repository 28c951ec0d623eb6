"""A plan on the screen: what comes in green, what goes in red, what changes in yellow."""

import typer

from hatchway.cli.printable import printable
from hatchway.cli.progress import colours
from hatchway.fleet import Plan, plan_lines

_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "~": typer.colors.YELLOW}


def show_plan(plan: Plan) -> None:
    """Prints it, in colours on a terminal."""
    coloured = colours()
    for line in plan_lines(plan):
        shown = printable(line)
        colour = _COLOURS.get(shown.lstrip()[:1]) if coloured and shown.lstrip()[1:2] == " " else None
        typer.echo(shown if colour is None else typer.style(shown, fg=colour))
