"""`hatchway machine`: the machines that joined."""

from typing import Annotated

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say


def register(app: typer.Typer) -> None:
    machines = typer.Typer(help="List, remove and promote joined machines.", rich_markup_mode=None)
    machines.command("list")(list_machines)
    machines.command("remove")(remove)
    machines.command("promote")(promote)
    app.add_typer(machines, name="machine")


def list_machines(*, json: Json = False, data_dir: DataDir = None, store_url: StoreUrl = None) -> None:
    """List joined machines: role, last contact, certificate expiry.

    \b
    Example:
      hatchway machine list
    """
    from hatchway.administration import joining
    from hatchway.cli.table import table
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        found = joining.list_machines(installation)
    if json:
        import json as json_format

        machines = [
            {
                "machine_id": each.id,
                "name": each.name,
                "role": each.role.value,
                "names": each.names,
                "finished": each.finished,
                "key_ids": each.key_ids,
                "joined_at": each.joined_at.isoformat(timespec="seconds"),
                "seen_at": each.seen_at.isoformat(timespec="seconds"),
                "seen_from": each.seen_from,
                "certificate_expires_at": each.expires_at and each.expires_at.isoformat(timespec="seconds"),
            }
            for each in found
        ]
        say(json_format.dumps({"machines": machines}))
        return
    rows = [
        (
            each.id,
            each.name,
            each.role.value,
            f"{each.seen_at:%F %T}" if each.finished else "unfinished",
            each.seen_from,
            "none" if each.expires_at is None else f"{each.expires_at:%F}",
        )
        for each in found
    ]
    for line in table([("MACHINE", "NAME", "ROLE", "LAST SEEN", "FROM", "CERTIFICATE UNTIL"), *rows]):
        say(line)
    for each in found:
        if not each.finished:
            say(
                f"{each.id} began to join at {each.joined_at:%F %T} and has not finished: run 'hatchway"
                " join' there again with the same token, or start its server. It is removed after a day"
            )


def remove(
    machine: Annotated[str, typer.Argument(metavar="ID|NAME")],
    *,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Remove a joined machine: no more keys, certificates or service.

    Within five seconds a control plane stops answering calls, and a gateway opens no more tunnels and ends
    those it has. The machine keeps what it was given: rotate that if it may be compromised
    (docs/scaling.md).

    \b
    Example:
      hatchway machine remove gw2
    """
    from hatchway.administration import joining
    from hatchway.domain.machine import Role
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        removed = joining.remove_machine(installation, machine)
    say(f"{removed.id} ({removed.name}) is removed: it gets no more keys and certificates")
    is_gateway = removed.role is Role.GATEWAY
    keys = "gateway key" if is_gateway else "master key and gateway key"
    if is_gateway:
        say("Within five seconds it opens no more tunnels, and ends the open ones: stop its server")
    say(f"It may still have the {keys}, and its certificate until that expires: rotate them if it was stolen")


def promote(
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Do not check whether the first machine is running.")
    ] = False,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Make this joined control plane the first machine.

    For when the first machine is lost permanently. This one then issues certificates and rotates keys. Before
    that, put ca.key from the old machine's backup into the data directory, mode 0600. If it is lost, another
    CA is created, which has to be distributed as in a rotation. This is refused while the old first
    machine's server runs; make sure that it stays off.

    \b
    Example:
      hatchway machine promote --data-dir /var/lib/hatchway
    """
    from hatchway.administration import promotion
    from hatchway.cli.progress import working
    from hatchway.installation.installation import open_installation

    directory = data_directory(data_dir)
    with (
        open_installation(directory, store_url) as installation,
        working("Looking whether the first machine lives"),
    ):
        promoted = promotion.promote(installation, force=force)
    made = promoted.next_ca
    if json:
        import json as json_format

        authorities = None if made is None else made.fingerprints
        say(json_format.dumps({"machine_id": promoted.machine_id, "authorities": authorities}))
        return
    say(f"{directory.path} now belongs to the first machine: restart its server")
    if made is not None:
        say(f"The CA's key is not here. The next CA: {made.fingerprints[-1]}")
        say("Make every client and host trust ca.pem, then: hatchway ca rotate --step use")
