"""`hatchway demo`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hatchway.demo.hosts import Programs


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    *,
    without_openssh: Annotated[
        bool, typer.Option("--without-openssh", help="Use asyncssh even if ssh and sshd are installed.")
    ] = False,
) -> None:
    """Show what Hatchway does, on this machine, in a minute.

    Needs no root, and leaves nothing behind.

    \b
    Example:
      hatchway demo
    """
    import io
    import sys

    from rich.console import Console

    from hatchway.demo.hosts import Programs
    from hatchway.demo.run import run_demo

    programs = Programs(None, None) if without_openssh else Programs.find()
    _need_asyncssh(programs)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that knows no ticks and dots still gets all of it.
        sys.stdout.reconfigure(errors="replace")
    run_demo(Console(highlight=False), programs)


def _need_asyncssh(programs: "Programs") -> None:
    """
    Raises:
        CommandFailed: there is neither all of OpenSSH nor what stands in for it.
    """
    from hatchway.errors import CommandFailed

    if programs.ssh is not None and programs.sshd is not None:
        return
    try:
        import asyncssh  # noqa: F401 - only to see whether it is there
    except ImportError:
        raise CommandFailed(
            "where OpenSSH is not used, or not there with ssh, sshd and curl, the demo needs the package"
            " asyncssh: run pip install 'hatchway[demo]'"
        ) from None
