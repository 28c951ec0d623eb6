"""`hatchway join-token`: tokens by which machines join."""

from typing import TYPE_CHECKING, Annotated

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say
from hatchway.errors import BadUsage

if TYPE_CHECKING:
    from hatchway.domain.machine import Role


def register(app: typer.Typer) -> None:
    tokens = typer.Typer(help="Tokens with which machines join.", rich_markup_mode=None)
    tokens.command("create")(create)
    tokens.command("list")(list_tokens)
    tokens.command("delete")(delete)
    app.add_typer(tokens, name="join-token")


def create(
    *,
    role: Annotated[str, typer.Option(metavar="control|gateway", help="What the machines will run.")],
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another host name for their certificates. May be repeated."),
    ] = None,
    vpc: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|ID",
            help="Let the gateways serve only the endpoints of this VPC. May be repeated.",
            show_default="every VPC that is no separate network",
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|ID",
            help="Let the gateways serve only this endpoint, besides those of --vpc. May be repeated.",
            show_default="all of those VPCs",
        ),
    ] = None,
    machine_store_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="HATCHWAY_MACHINE_STORE_URL",
            help="The store's URL for these machines; for gateways, that of their own database role.",
            show_default="for control planes this server's",
        ),
    ] = None,
    uses: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="How many machines may join.")] = 1,
    lifetime: Annotated[
        int, typer.Option(metavar="SECONDS", min=60, max=86_400, help="How long the token is valid.")
    ] = 3600,
    json: Json = False,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Create a token with which a machine joins.

    The machine becomes a control plane or a gateway. Whoever has a control plane's token becomes one, with
    the master key: send it over a confidential channel. It is printed once; the store has only a hash of it.

    \b
    Example:
      hatchway join-token create --role control --data-dir /var/lib/hatchway
    """
    from hatchway.administration import joining
    from hatchway.domain.counting import counted
    from hatchway.domain.machine import Role
    from hatchway.installation.installation import noted_store_url, open_installation

    directory = data_directory(data_dir)
    chosen = _role(role)
    with open_installation(directory, store_url) as installation:
        given = machine_store_url
        if given is None and chosen is Role.GATEWAY:
            raise BadUsage(
                "give --machine-store-url, with the gateways' own database role (docs/store.md):"
                " a gateway does not need this server's permissions there"
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
            "api_url": made.api_url,
        }
        say(json_format.dumps(answer))
        return
    many = counted(uses, "use")
    say(f"Join token {made.kept.id}, valid for {many} until {made.kept.expires_at:%Y-%m-%d %H:%M:%S} UTC:")
    say(f"  {made.token}")
    if not made.pinned:
        say("It names no CA: the new machine's system has to trust the API's certificate")
    url = made.api_url or "https://NAME:PORT"
    say(f"On the new machine: hatchway join --api-url {url} --data-dir /var/lib/hatchway -")
    if made.api_url is None:
        say(
            "NAME and PORT are those by which the new machine reaches"
            f" an API of this installation: {made.unknown}"
        )


def list_tokens(*, json: Json = False, data_dir: DataDir = None, store_url: StoreUrl = None) -> None:
    """List the join tokens that have not expired, without their secrets.

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
        say(json_format.dumps({"join_tokens": tokens}))
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
        say(line)


def delete(
    token_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    data_dir: DataDir = None,
    store_url: StoreUrl = None,
) -> None:
    """Delete a join token. Machines that joined with it stay.

    \b
    Example:
      hatchway join-token delete jt-0123456789abcdef0
    """
    from hatchway.administration import joining
    from hatchway.installation.installation import open_installation

    with open_installation(data_directory(data_dir), store_url) as installation:
        joining.delete_join_token(installation, token_id)
    say(f"{token_id} is deleted")


def _role(text: str) -> "Role":
    from hatchway.domain.machine import Role

    try:
        return Role(text)
    except ValueError:
        raise BadUsage(f"--role {text!r} is neither control nor gateway") from None
