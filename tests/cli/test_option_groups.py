"""Options declared once, for several commands."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from hatchway.cli.option_groups import with_option_groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    host: Annotated[str, typer.Option("--host")] = "localhost"
    ports: Annotated[list[int] | None, typer.Option("--port")] = None


def run(*words: str) -> str:
    app = typer.Typer()

    @app.command()
    @with_option_groups
    def command(name: str, *, where: Where, loud: bool = False) -> None:
        """Says it all."""
        typer.echo(repr((name, where, loud)))

    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_commands_options_are_its_own_and_those_of_its_groups() -> None:
    given = run("me", "--port", "1", "--loud", "--port", "2", "--host", "there")
    assert given.strip() == repr(("me", Where(host="there", ports=[1, 2]), True))


def test_what_is_not_given_has_the_groups_default() -> None:
    assert run("me").strip() == repr(("me", Where(ports=None), False))


def test_help_shows_them_in_the_place_of_the_group() -> None:
    shown = run("--help")
    assert "Says it all." in shown
    assert shown.index("--host") < shown.index("--port") < shown.index("--loud")
    assert "--where" not in shown
