"""`hatchway join`, `join-token` and `machine`: control planes and gateways on machines of their own."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.errors import BadUsage, CommandFailed

if TYPE_CHECKING:
    from pathlib import Path

    from hatchway.domain.machine import Role
    from hatchway.installation.joined import Joined
    from hatchway.installation.joining import JoinResult
    from hatchway.settings import DataDirectory

_LONGEST_TOKEN: Final = 512


def register(app: typer.Typer) -> None:
    app.command("join")(join)
    tokens = typer.Typer(help="Tokens by which machines join.", rich_markup_mode=None)
    tokens.command("create")(create)
    tokens.command("list")(list_tokens)
    tokens.command("delete")(delete)
    app.add_typer(tokens, name="join-token")
    machines = typer.Typer(help="Machines that joined.", rich_markup_mode=None)
    machines.command("list")(list_machines)
    machines.command("remove")(remove)
    machines.command("promote")(promote)
    app.add_typer(machines, name="machine")


def join(
    token: Annotated[
        str,
        typer.Argument(metavar="TOKEN", help="What 'hatchway join-token create' has printed; '-' reads it."),
    ],
    *,
    api_url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Where the API is, from here. May be repeated, for several.",
            show_default="with --again, where it was",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name or address that the control plane's certificate has to be for, besides this"
            " machine's own. May be repeated.",
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Of a machine that has joined before: put what the API gives in the place of its files.",
        ),
    ] = False,
    data_dir: DataDir = None,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="To whom root gives the files.",
            show_default="the owner of the directory, else 'hatchway' if there is such a user",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make this machine a control plane or a gateway of an installation that runs elsewhere.

    Makes the data directory of what the API gives for the token: keys, the store's URL, and a certificate
    whose key never leaves this machine. A gateway gets neither the master key nor, as nobody does, the CA's.
    Its server keeps all that up by itself.

    Interrupted, it goes on when it is given again with the same token, before that ends. With --again, a
    machine that was taken out, or was away while keys or the CA were replaced, joins anew; its audit.jsonl
    stays.

    \b
    Example:
      hatchway join --api-url https://hatchway.example:8443 --data-dir /var/lib/hatchway -
    """
    from hatchway.installation import joining

    directory = data_directory(data_dir)
    if token == "-":  # noqa: S105 - what stands for standard input
        token = sys.stdin.readline(_LONGEST_TOKEN)
    names = tuple(each.lower() for each in name or ())
    former = _former(directory, again=again)
    urls = api_url or (former.api_urls if former is not None else ())
    if not urls:
        raise BadUsage("give --api-url, where the API is: 'hatchway join-token create' has printed it")
    if former is not None and user is not None:
        raise BadUsage("--user is for a new directory: with --again the files become its owner's")
    result = joining.join(directory, token, urls, names, _owner(directory.path, user), former=former)
    joined = result.machine
    problem = _store_problem(result.store_url)
    if json:
        import json as json_format

        answer = {
            "machine_id": joined.machine_id,
            "role": joined.role.value,
            "names": result.names,
            "beyond": result.beyond,
            "certificate": result.certified,
            "finished": result.finished,
            "vpcs": joined.vpcs,
            "endpoints": joined.endpoints,
            "store_problem": problem,
        }
        typer.echo(json_format.dumps(answer))
        return
    typer.echo(f"{directory.path} is that of {joined.machine_id}, a {_called(joined.role)}")
    _tell_names(result)
    if joined.vpcs:
        typer.echo(f"VPCs: {', '.join(joined.vpcs)}")
    if joined.endpoints:
        typer.echo(f"Endpoints: {', '.join(joined.endpoints)}")
    if problem is not None:
        typer.echo(f"hatchway: warning: the store cannot be used from here: {problem}", err=True)
    if not result.finished:
        typer.echo(
            "hatchway: warning: the API could not be told that all is in place: start the server within a"
            " day, or this machine is taken out again",
            err=True,
        )
    restart = "" if former is None else ", started anew if it runs"
    typer.echo(f"Next: hatchway {joined.role.value} --data-dir {directory.path}{restart}")


def _former(directory: "DataDirectory", *, again: bool) -> "Joined | None":
    """What the directory's machine is known as, where that is to end; None for a directory yet to be made.

    Raises:
        CommandFailed: it is a machine's, and that is not to end; or it is not.
    """
    from hatchway.failures import failures
    from hatchway.installation.joined import Joined

    with failures():
        former = Joined.read(directory)
    if former is not None and not again:
        raise CommandFailed(
            f"{directory.path} is {former.machine_id}'s already: start its server, or have it join"
            " anew with --again"
        )
    if former is None and again:
        raise CommandFailed(f"{directory.path} is that of no machine that joined: leave --again out")
    return former


def _tell_names(result: "JoinResult") -> None:
    if result.certified:
        typer.echo(f"Certificate: for {', '.join(result.names)}")
    elif result.names:
        typer.echo("Certificate: to come from the control plane that has the CA's key; the server fetches it")
    if result.beyond:
        typer.echo(
            f"Not for {', '.join(result.beyond)}: the private CA may not issue for that. Have the next one do"
            " so (hatchway ca rotate --step add --name), or call this machine otherwise"
        )


def create(
    *,
    role: Annotated[str, typer.Option(metavar="control|gateway", help="What the machines are to run.")],
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A host name that their certificates are for besides. May be repeated."
        ),
    ] = None,
    vpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|ID",
            help="A VPC whose endpoints the gateways serve, and no others. May be repeated.",
            show_default="every VPC that is no separate network",
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|ID",
            help="An endpoint that the gateways serve, and no others but those of --vpc. May be repeated.",
            show_default="all of those VPCs",
        ),
    ] = None,
    machine_store_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="HATCHWAY_MACHINE_STORE_URL",
            help="The store's URL for these machines; for gateways that of their own database role.",
            show_default="for control planes this server's",
        ),
    ] = None,
    uses: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="How many machines may join.")] = 1,
    lifetime: Annotated[
        int, typer.Option(metavar="SECONDS", min=60, max=86_400, help="For how long the token is good.")
    ] = 3600,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Make a token by which a machine becomes a control plane or a gateway.

    Whoever has the token of a control plane becomes one, master key included: give it by a way that nobody
    listens to. It is printed this once; the store has a hash of it.

    \b
    Example:
      hatchway join-token create --role control --data-dir /var/lib/hatchway
    """
    from hatchway.administration import joining
    from hatchway.domain.machine import Role
    from hatchway.installation.installation import noted_store_url, open_installation

    directory = data_directory(data_dir)
    chosen = _role(role)
    with open_installation(directory, store_url) as installation:
        given = machine_store_url
        if given is None and chosen is Role.GATEWAY:
            raise BadUsage(
                "give --machine-store-url, with the gateways' own database role (docs/operating.md):"
                " a gateway has no need of what this server may do there"
            )
        made = joining.create_join_token(
            installation,
            chosen,
            store_url=given or store_url or noted_store_url(directory) or directory.store_url,
            names=tuple(each.lower() for each in name or ()),
            vpcs=tuple(vpc or ()),
            endpoints=tuple(endpoint or ()),
            max_uses=uses,
            lifetime_seconds=lifetime,
        )
    if json:
        import json as json_format

        answer = {
            "join_token_id": made.kept.id,
            "token": made.token,
            "role": made.kept.role.value,
            "max_uses": made.kept.max_uses,
            "expires_at": made.kept.expires_at.isoformat(timespec="seconds"),
        }
        typer.echo(json_format.dumps(answer))
        return
    many = "once" if uses == 1 else f"{uses} times"
    typer.echo(f"Join token {made.kept.id}, good {many} until {made.kept.expires_at:%Y-%m-%d %H:%M:%S} UTC:")
    typer.echo(f"  {made.token}")
    if not made.pinned:
        typer.echo("It names no CA: the machine has to trust the API's certificate by its system")
    typer.echo(f"On the new machine: hatchway join --api-url {made.api_url} --data-dir /var/lib/hatchway -")


def list_tokens(*, json: Json = False, data_dir: DataDir = None, store_url: StoreUrl = None) -> None:
    """List the join tokens that have not expired, without what makes them good.

    \b
    Example:
      hatchway join-token list
    """
    from hatchway.administration import joining
    from hatchway.cli.table import table
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        found = joining.list_join_tokens(installation)
    if json:
        import json as json_format

        tokens = [
            {
                "join_token_id": each.id,
                "role": each.role.value,
                "uses": each.uses,
                "max_uses": each.max_uses,
                "created_by": each.created_by,
                "expires_at": each.expires_at.isoformat(timespec="seconds"),
            }
            for each in found
        ]
        typer.echo(json_format.dumps({"join_tokens": tokens}))
        return
    rows = [
        (
            each.id,
            each.role.value,
            f"{each.uses} of {each.max_uses}",
            f"{each.expires_at:%F %T}",
            each.created_by,
        )
        for each in found
    ]
    for line in table([("JOIN TOKEN", "ROLE", "USED", "EXPIRES", "MADE BY"), *rows]):
        typer.echo(line)


def delete(
    token_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """End a join token. Machines that joined by it stay.

    \b
    Example:
      hatchway join-token delete jt-0123456789abcdef0
    """
    from hatchway.administration import joining
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        joining.delete_join_token(installation, token_id)
    typer.echo(f"{token_id} is good no more")


def list_machines(*, json: Json = False, data_dir: DataDir = None, store_url: StoreUrl = None) -> None:
    """List the machines that joined: their role, when they last asked, when their certificate ends.

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
        typer.echo(json_format.dumps({"machines": machines}))
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
        typer.echo(line)
    for each in found:
        if not each.finished:
            typer.echo(
                f"{each.id} began to join at {each.joined_at:%F %T} and has not come back: give 'hatchway"
                " join' there again with the same token, or start its server. A day later it is taken out"
            )


def remove(
    machine: Annotated[str, typer.Argument(metavar="ID|NAME")],
    *,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Give a machine neither keys nor certificates any more.

    It keeps what it has: where it may be in wrong hands, rotate its keys (docs/scaling.md).

    \b
    Example:
      hatchway machine remove gw2
    """
    from hatchway.administration import joining
    from hatchway.domain.machine import Role
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        removed = joining.remove_machine(installation, machine)
    typer.echo(f"{removed.id} ({removed.name}) gets nothing any more")
    keys = "gateway key" if removed.role is Role.GATEWAY else "master key and gateway key"
    typer.echo(
        f"It may still have the {keys}, and its certificate until that ends: rotate them if it was stolen"
    )


def promote(*, json: Json = False, data_dir: DataDir = None, store_url: StoreUrl = None) -> None:
    """Make this control plane, which joined, the first machine, in the place of one that is gone for good.

    It issues certificates and rotates keys from then on. Put ca.key of the former one's backup into the data
    directory before, mode 0600. Where that is lost another CA is made, which has to be handed out as in each
    rotation. See that the former first machine is off, and stays off.

    \b
    Example:
      hatchway machine promote --data-dir /var/lib/hatchway
    """
    from hatchway.administration import promotion
    from hatchway.installation.installation import open_installation

    directory = data_directory(data_dir)
    with open_installation(directory, store_url) as installation:
        promoted = promotion.promote(installation)
    made = promoted.next_ca
    if json:
        import json as json_format

        authorities = None if made is None else made.fingerprints
        typer.echo(json_format.dumps({"machine_id": promoted.machine_id, "authorities": authorities}))
        return
    typer.echo(f"{directory.path} is that of the first machine: start its server anew")
    if made is not None:
        typer.echo(f"The CA's key is not here. The next CA: {made.fingerprints[-1]}")
        typer.echo("Have every client and host take over ca.pem, then: hatchway ca rotate --step use")


def _role(text: str) -> "Role":
    from hatchway.domain.machine import Role

    try:
        return Role(text)
    except ValueError:
        raise BadUsage(f"--role {text!r} is neither control nor gateway") from None


def _called(role: "Role") -> str:
    return {"control": "control plane", "gateway": "gateway"}[role.value]


def _owner(path: "Path", user: str | None) -> tuple[int, int] | None:
    """To whom root gives the files."""
    import os
    import pwd

    if os.geteuid() != 0:
        if user is not None:
            raise BadUsage("--user: only root can give files away")
        return None
    if user is None and path.exists():
        status = path.stat()
        return status.st_uid, status.st_gid
    try:
        entry = pwd.getpwnam(user or "hatchway")
    except KeyError:
        if user is not None:
            raise BadUsage(f"--user {user!r}: there is no such user") from None
        return None
    return entry.pw_uid, entry.pw_gid


def _store_problem(url: str) -> str | None:
    """Why the store cannot be used from here; None where it can."""
    from contextlib import closing

    from hatchway.failures import failures
    from hatchway.store import Store

    try:
        with failures(url), closing(Store.open(url)) as store:
            store.check_schema()
    except CommandFailed as problem:
        return str(problem)
    return None
