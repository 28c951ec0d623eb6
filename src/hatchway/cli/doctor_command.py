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
            help="What clients or hosts call the API besides, a host name or an address. May be repeated.",
        ),
    ] = None,
    trial: Annotated[
        bool, typer.Option(help="Try a tunnel of a server that is started for it, on loopback.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only tell what is not well.")] = False,
    json: Json = False,
    caller: CallerArguments,
) -> None:
    """Say whether everything is in place, and what to do where it is not.

    On the server, with --data-dir: files, keys, store, disk, clock, kernel limits, the API, each gateway's
    name, port and certificate, and a trial tunnel. Anywhere else: what somebody with a profile needs. It
    changes nothing. Ends with 0 when all is well, 1 when there is an error, 3 when there are warnings only.

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
