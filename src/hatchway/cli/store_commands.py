"""Commands for the store itself."""

from typing import Annotated

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say


def register(app: typer.Typer) -> None:
    store = typer.Typer(help="Copy the store; set how long events are kept.", rich_markup_mode=None)
    store.command("copy")(copy)
    store.command("retention")(retention)
    app.add_typer(store, name="store")


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The URL of the existing store.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The URL of an empty database.")],
    *,
    json: Json = False,
) -> None:
    """Copy a store from SQLite to PostgreSQL, or back.

    Stop all servers first: nobody may use FROM, which is not changed. At the end every table is compared. If
    the command is interrupted, run it again and it continues. No server starts on TO until the copy is
    complete. If it is complete already, both are compared again. A password does not have to be in the URL:
    PostgreSQL's client reads PGPASSWORD or ~/.pgpass.

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
        more = {"went_on": copied.went_on, "finished_at": copied.finished_at}
        say(json_format.dumps({**answer, **more}))
        return
    if copied.finished_at is not None:
        say(f"Already copied at {copied.finished_at} UTC: compared both stores again")
    if copied.went_on:
        say("Continued an earlier attempt")
    for name, each in copied.tables.items():
        if each.rows:
            rows = "row" if each.rows == 1 else "rows"
            say(f"  {name:<24} {each.rows:>12,} {rows:<4}  {each}")
    say(
        f"Account {copied.account} is now in {copied.target}. Each table has as many rows as in"
        f" {copied.source}, with the same digest",
        "Next: start the servers with --store-url, or HATCHWAY_STORE_URL, of the copy."
        " Make sure that no server uses the old store again",
    )


def retention(
    span: Annotated[
        str | None,
        typer.Argument(metavar="DAYS", help="How long, such as 400d, or forever."),
    ] = None,
    *,
    unexported_too: Annotated[
        bool,
        typer.Option(
            "--unexported-too",
            help="Also delete events that are not in any audit.jsonl, for example because servers run"
            " with --audit-file off.",
        ),
    ] = False,
    at_once: Annotated[
        bool,
        typer.Option(
            "--at-once", help="Do not wait a day before deleting what would have been kept longer until now."
        ),
    ] = False,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Show or set how long events of the audit trail are kept.

    A control plane deletes older events, at most a thousand a second. If the new time is shorter, it takes
    effect a day later, so that a mistake can be undone. An event that is not yet in audit.jsonl stays until
    it is. The time can only be set on the server, so that nobody can delete the trail of what he did through
    the API. Setting it is an event too.

    \b
    Examples:
      hatchway store retention --data-dir /var/lib/hatchway
      hatchway store retention 400d --data-dir /var/lib/hatchway
    """
    from hatchway.administration.retention import kept_trail, read_days, set_retention
    from hatchway.domain.counting import counted
    from hatchway.errors import BadUsage
    from hatchway.installation.installation import open_installation

    if span is None and (unexported_too or at_once):
        option = "--unexported-too" if unexported_too else "--at-once"
        raise BadUsage(f"{option}: say for how long events are kept, such as 400d")
    days = None if span is None else read_days(span)
    with open_installation(data_directory(data_dir), store_url) as installation:
        if span is not None:
            set_retention(installation, days, unexported_too=unexported_too, at_once=at_once)
        kept = kept_trail(installation)
    gone = None if kept.deleted_before is None else kept.deleted_before.strftime("%Y-%m-%d %H:%M:%S")
    if json:
        import json as json_format

        answer = {
            "days": kept.days,
            "holds_from": None if kept.until is None else kept.until.strftime("%Y-%m-%d %H:%M:%S"),
            "unexported_too": kept.unexported_too,
            "older": kept.older,
        }
        say(json_format.dumps({**answer, "not_exported": kept.waiting, "deleted_before": gone}))
        return
    say(
        "Events are kept for ever"
        if kept.days is None
        else f"Events are kept for {counted(kept.days, 'day')}"
    )
    if kept.until is not None:
        before = "for ever" if kept.now_days is None else f"for {counted(kept.now_days, 'day')}"
        say(
            f"Until {kept.until:%Y-%m-%d %H:%M:%S} UTC what was to be kept before stays, {before}: to take it"
            " back, give the former; not to wait, --at-once"
        )
    if kept.older:
        say(f"Older ones, which go: {kept.older - (0 if kept.unexported_too else kept.waiting):,}")
    if kept.waiting and not kept.unexported_too:
        say(
            f"Older ones that stay, as they are in no audit.jsonl yet: {kept.waiting:,} (where servers run"
            " with --audit-file off, give --unexported-too)"
        )
    if gone is not None:
        say(f"Deleted so far: what was before {gone} UTC")
