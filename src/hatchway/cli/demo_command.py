"""`hatchway demo`."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    *,
    without_openssh: Annotated[
        bool, typer.Option("--without-openssh", help="Use asyncssh even where ssh and sshd are.")
    ] = False,
) -> None:
    """See the whole story on this machine, in a minute.

    It needs no root, and leaves nothing behind.

    \b
    Example:
      hatchway demo
    """
    import io
    import sys

    from rich.console import Console

    from hatchway.cli.demo.hosts import Programs
    from hatchway.cli.demo.run import run_demo

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that knows no ticks and dots still gets the story.
        sys.stdout.reconfigure(errors="replace")
    run_demo(Console(highlight=False), Programs(None, None) if without_openssh else Programs.find())
