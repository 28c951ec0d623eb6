"""Commands for the store itself."""

from typing import Annotated

import typer

from hatchway.cli.options import Json


def register(app: typer.Typer) -> None:
    store = typer.Typer(help="The store: all of it in another database.", rich_markup_mode=None)
    store.command("copy")(copy)
    # Without this, typer would make the one command the group itself.
    store.callback()(_group)
    app.add_typer(store, name="store")


def _group() -> None:
    """A group of commands."""


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The URL of the store there is.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The URL of an empty database.")],
    *,
    json: Json = False,
) -> None:
    """Copy all of a store into another database: from SQLite to PostgreSQL, or back.

    Stop all servers first: FROM must be used by nobody, and is not changed. Every table is compared in the
    end. What was copied when the command is interrupted stays: the same command goes on with it. Until all is
    there, no server starts on TO. A password need not be in a URL: PostgreSQL's client takes it from
    PGPASSWORD or ~/.pgpass.

    \b
    Example:
      hatchway store copy sqlite:////var/lib/hatchway/hatchway.db postgresql+psycopg://hatchway@db/hatchway
    """
    from datetime import UTC, datetime

    from hatchway.administration.store_copy import copy_whole_store
    from hatchway.cli.progress import working

    with working("Looking at both") as tell:
        copied = copy_whole_store(source, target, datetime.now(UTC), tell)
    if json:
        import json as json_format

        tables = {name: {"rows": each.rows, "digest": str(each)} for name, each in copied.tables.items()}
        answer = {"account": copied.account, "from": copied.source, "to": copied.target, "tables": tables}
        typer.echo(json_format.dumps({**answer, "went_on": copied.went_on}))
        return
    if copied.went_on:
        typer.echo("Went on with what an attempt before had copied")
    for name, each in copied.tables.items():
        if each.rows:
            typer.echo(f"  {name:<24} {each.rows:>12,} rows  {each}")
    typer.echo(
        f"Account {copied.account} is in {copied.target}, in every table as many rows as in {copied.source},"
        " with the same digest\nNext: start the servers with --store-url, or HATCHWAY_STORE_URL, of the copy,"
        " and see that the former store is not served again"
    )
