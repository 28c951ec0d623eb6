"""The command that brings a store to this version's tables."""

import sys
from typing import Annotated

import typer

from hatchway.cli.ending import errors_are_no_answers
from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say
from hatchway.settings import DataDirectory


def register(app: typer.Typer) -> None:
    app.command("migrate")(migrate)


def migrate(
    *,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Only say what there is to do. Exit code 1 if there is something, 2 on an error.",
        ),
    ] = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
    json: Json = False,
) -> None:
    """Update the store to this version's schema while servers run.

    A control plane does the same when it starts. Use the command for an upgrade in steps: first the store,
    while servers of the previous version keep running, then one server after the other. It needs only the
    store, and the database role that owns it. If it fails, run it again: it continues where it stopped.

    \b
    Example:
      hatchway migrate --check --data-dir /var/lib/hatchway
    """
    from hatchway.administration.migration import migrate, pending
    from hatchway.logs import configure_logs, log_format_for

    directory = data_directory(data_dir)
    if check:
        with errors_are_no_answers():
            schema, steps = pending(_url_of_store(directory, store_url))
            if json:
                import json as json_format

                say(json_format.dumps({"schema": schema, "pending": steps}))
            elif steps:
                say(f"The store's schema is {schema}; to be done: {', '.join(steps)}")
            else:
                say(f"The store's schema is {schema}; nothing is to be done")
            raise typer.Exit(1 if steps else 0)

    # What is told of a step that waits is no part of the answer.
    configure_logs(log_format_for(sys.stderr))

    def said(schema: str, seconds: float) -> None:
        if not json:
            say(f"{schema} in {seconds:.1f} s")

    done = migrate(_url_of_store(directory, store_url), said)
    if json:
        import json as json_format

        answer = {
            "before": done.before,
            "schema": done.after,
            "steps": done.steps,
            "oldest_program": done.oldest,
        }
        say(json_format.dumps({**answer, "steps": done.steps}))
        return
    suits = "" if done.oldest is None else f", which suits programs of schema {done.oldest} and later"
    say(f"The store's schema is {done.after}{suits}")


def _url_of_store(directory: DataDirectory, store_url: str | None) -> str:
    """
    Raises:
        CommandFailed: there is no store.
    """
    from hatchway.installation.installation import is_there, no_store

    if store_url is None and not is_there(directory.store):
        raise no_store(directory)
    return store_url or directory.store_url
