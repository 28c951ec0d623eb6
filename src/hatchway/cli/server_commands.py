"""Commands that make and run a server."""

from typing import Annotated

import typer

from hatchway.cli.errors import BadUsage
from hatchway.cli.options import DataDir, Json, StoreUrl, data_directory


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    *,
    data_dir: DataDir = None,
    account: Annotated[
        str | None, typer.Option(metavar="DIGITS", help="The account's 12 digits; random by default.")
    ] = None,
    region: Annotated[str, typer.Option(help="The region that the account is in.")] = "us-east-1",
    gateway_dns_name: Annotated[
        str, typer.Option(metavar="NAME", help="The host name at which clients reach the gateway.")
    ] = "localhost",
    store_url: StoreUrl = None,
    json: Json = False,
) -> None:
    """Make a new installation: store, master key, private CA, server certificate and root access key.

    The root access key is printed once and cannot be shown again.

    \b
    Example:
      hatchway init --data-dir /var/lib/hatchway --gateway-dns-name gateway.example.com
    """
    import secrets
    from datetime import UTC, datetime

    from hatchway.cli.installation import create_installation
    from hatchway.domain.account import Account
    from hatchway.domain.ids import ACCOUNT_ID, REGION
    from hatchway.pki import is_dns_name

    directory = data_directory(data_dir)
    if account is None:
        account = f"{secrets.randbelow(9 * 10**11) + 10**11}"
    if not ACCOUNT_ID.fullmatch(account):
        raise BadUsage(f"--account {account!r} is not 12 digits")
    if not REGION.fullmatch(region):
        raise BadUsage(f"--region {region!r} is not the name of a region, such as us-east-1")
    if not is_dns_name(gateway_dns_name):
        raise BadUsage(f"--gateway-dns-name {gateway_dns_name!r} is not a host name: give it without a port")
    now = datetime.now(UTC)
    root_key = create_installation(
        directory,
        store_url,
        Account(id=account, region=region, gateway_dns_name=gateway_dns_name.lower(), created_at=now),
        now,
    )
    if json:
        import json as json_format

        answer = {
            "account": account,
            "region": region,
            "access_key_id": root_key.key.id,
            "secret_access_key": root_key.secret,
            "ca_certificate": str(directory.ca_certificate),
        }
        typer.echo(json_format.dumps(answer))
        return
    typer.echo(
        f"Account {account} in {region} is in {directory.path}\n"
        f"CA certificate: {directory.ca_certificate}\n"
        "Root access key, shown this once:\n"
        f"  aws_access_key_id = {root_key.key.id}\n"
        f"  aws_secret_access_key = {root_key.secret}\n"
        f"Next: hatchway serve --data-dir {directory.path}"
    )
