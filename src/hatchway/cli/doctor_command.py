"""`hatchway doctor`."""

from dataclasses import asdict
from typing import Annotated

import typer

from hatchway.cli.client_options import CallerArguments
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import Json, StoreArguments, data_directory, on_server
from hatchway.cli.printable import say


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


@with_option_groups
def doctor(
    *,
    store: StoreArguments,
    api_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name or address under which clients or hosts reach the API. May be repeated.",
        ),
    ] = None,
    trial: Annotated[
        bool, typer.Option(help="Start a temporary server on loopback and open a tunnel through it.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only print problems.")] = False,
    json: Json = False,
    caller: CallerArguments,
) -> None:
    """Find problems with a server or a client, and say what to do.

    On the server, with --data-dir, it checks files, keys, store, disk, clock, kernel limits, the API, each
    gateway's name, port and certificate, and opens a trial tunnel. Anywhere else it checks what a user with
    a profile needs. It changes nothing. Exits with 0 if all is well, 1 for errors, 3 for warnings only.

    \b
    Examples:
      hatchway doctor --data-dir /var/lib/hatchway --api-name 10.0.9.9
      hatchway doctor --profile alice
    """
    from hatchway.doctor.findings import Status, worst

    if on_server(store, caller):
        from hatchway.doctor.examination import examine_server

        names = tuple(api_name or ())
        examination = examine_server(data_directory(store.data_dir), store.store_url, names, trial=trial)
    else:
        from hatchway.client.api.profile import Profile
        from hatchway.doctor.client_examination import examine_client

        examination = examine_client(Profile(caller.options()))
    found = []
    for finding in examination:
        found.append(finding)
        if not json and not (quiet and finding.status is Status.OK):
            # At once: some take a while.
            # Some of it is as a server has said it.
            say(f"{finding.status:<8} {finding.check}: {finding.seen}")
            if finding.advice:
                say(f"{'':8} -> {finding.advice}")
    status = worst(found)
    if json:
        import json as json_format

        say(json_format.dumps({"status": status, "findings": [asdict(each) for each in found]}))
    raise typer.Exit({Status.ERROR: 1, Status.WARNING: 3}.get(status, 0))
