"""`hatchway init`: a new installation."""

import shlex
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory
from hatchway.cli.printable import say
from hatchway.errors import BadUsage, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchway.domain.account import Account
    from hatchway.settings import DataDirectory

_REGION: Final = "us-east-1"
_GATEWAY_DNS_NAME: Final = "localhost"


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    *,
    data_dir: DataDir = None,
    account: Annotated[
        str | None, typer.Option(metavar="DIGITS", help="The account's 12 digits.", show_default="random")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The region that the account is in.", show_default=_REGION),
    ] = None,
    gateway_dns_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The host name at which clients reach the gateway; '{endpoint_id}.NAME' gives each endpoint"
            " a name of its own.",
            show_default=_GATEWAY_DNS_NAME,
        ),
    ] = None,
    store_url: StoreUrl = None,
    unattended: Annotated[
        bool,
        typer.Option(
            "--unattended",
            help="For automatic starts, such as in a container: keep an existing account as it is, and"
            " create no access key, because its secret would end up in a log. 'hatchway access-key"
            " create --root' creates one.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Create a new installation.

    Creates a store, a master key, a gateway key, a private CA with a server certificate, and the root access
    key, which is printed once and cannot be shown again.

    \b
    Example:
      hatchway init --data-dir /var/lib/hatchway --gateway-dns-name hatchway.example
    """
    import secrets
    from datetime import UTC, datetime

    from hatchway.domain.account import ENDPOINT_ID_LABEL, Account
    from hatchway.domain.ids import ACCOUNT_ID, REGION, Kind, derived_id
    from hatchway.installation.creation import create_installation
    from hatchway.pki.name_constraints import is_dns_name

    directory = data_directory(data_dir)
    wanted = {"account": account, "region": region, "gateway DNS name": gateway_dns_name}
    region = _REGION if region is None else region
    gateway_dns_name = _GATEWAY_DNS_NAME if gateway_dns_name is None else gateway_dns_name
    if account is None:
        account = f"{secrets.randbelow(9 * 10**11) + 10**11}"
    if not ACCOUNT_ID.fullmatch(account):
        raise BadUsage(f"--account {account!r} is not 12 digits")
    if not REGION.fullmatch(region):
        raise BadUsage(f"--region {region!r} is not the name of a region, such as us-east-1")
    pattern = f"{ENDPOINT_ID_LABEL}."
    an_endpoints = gateway_dns_name.removeprefix(pattern)
    if gateway_dns_name.startswith(pattern):
        an_endpoints = f"{derived_id(Kind.ENDPOINT, account, 'any')}.{an_endpoints}"
    if not is_dns_name(an_endpoints):
        raise BadUsage(f"--gateway-dns-name {gateway_dns_name!r} is not a host name: give it without a port")
    now = datetime.now(UTC)
    new = Account(id=account, region=region, gateway_dns_name=gateway_dns_name.lower(), created_at=now)
    if unattended:
        _init_unattended(directory, store_url, new, wanted=wanted, json=json)
        return
    root_key = create_installation(directory, store_url, new, now)
    if json:
        import json as json_format

        answer = {
            "account": account,
            "region": region,
            "access_key_id": root_key.key.id,
            "secret_access_key": root_key.secret,
            "ca_certificate": str(directory.ca_certificate),
        }
        say(json_format.dumps(answer))
        return
    say(
        f"Account {account} in {region} is in {directory.path}",
        f"CA certificate: {directory.ca_certificate}",
        "Root access key, shown only once:",
        f"  aws_access_key_id = {root_key.key.id}",
        f"  aws_secret_access_key = {root_key.secret}",
        f"Next: hatchway serve --data-dir {shlex.quote(str(directory.path))}",
    )


def _init_unattended(
    directory: "DataDirectory",
    store_url: str | None,
    new: "Account",
    *,
    wanted: "Mapping[str, str | None]",
    json: bool,
) -> None:
    """
    Args:
        wanted: what the command line says of the account, if anything.

    Raises:
        CommandFailed: another account is there, or nothing can be made.
    """
    from hatchway.installation.creation import ensure_installation

    found = ensure_installation(directory, store_url, new, new.created_at)
    account = found or new
    if (other := wanted["account"]) not in (None, account.id):
        raise CommandFailed(
            f"the store holds account {account.id}, not {other}: give that one, or the URL of an empty store"
        )
    there = {"region": account.region, "gateway DNS name": account.gateway_dns_name}
    for what, value in there.items():
        if (other := wanted[what]) is not None and other.lower() != value:
            say(
                f"hatchway: warning: account {account.id} already exists, and its {what} stays {value}, not"
                f" {other}",
                err=True,
            )
    if json:
        import json as json_format

        answer = {"account": account.id, "region": account.region, "created": found is None}
        say(json_format.dumps(answer))
    elif found is None:
        say(
            f"Account {account.id} in {account.region} is made. Its root user's first access key:"
            " hatchway access-key create --root"
        )
    else:
        say(f"Account {account.id} in {account.region} already exists")
