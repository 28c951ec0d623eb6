"""Commands for those who look after the tunnels that are open: they talk to the API."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hatchway.cli.client_options import CallerArguments, client_errors
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import Json
from hatchway.cli.printable import say
from hatchway.cli.table import table

if TYPE_CHECKING:
    from hatchway.client.api.tunnels import OpenTunnel

_COLUMNS = ("TUNNEL", "WHO", "FROM", "TO", "ENDPOINT", "SINCE", "UNTIL", "IN", "OUT", "GATEWAY")


def register(app: typer.Typer) -> None:
    tunnels = typer.Typer(help="List and end open tunnels.", rich_markup_mode=None)
    tunnels.command("list")(list_)
    tunnels.command("terminate")(terminate)
    app.add_typer(tunnels, name="tunnels")


@with_option_groups
def list_(
    *,
    endpoint_id: Annotated[
        str | None,
        typer.Option(
            "--instance-connect-endpoint-id", metavar="ID", help="Only tunnels through this endpoint."
        ),
    ] = None,
    principal_arn: Annotated[
        str | None, typer.Option(metavar="ARN", help="Only tunnels of this user.")
    ] = None,
    json: Json = False,
    caller: CallerArguments,
) -> None:
    """List open tunnels: who, from where, to where, since when, bytes.

    Needs the permission hatchway:ListTunnels. The byte counts are a few seconds old.

    \b
    Example:
      hatchway tunnels list --principal-arn arn:aws:iam::123456789012:user/alice
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.api.tunnels import list_tunnels

    with client_errors():
        profile = Profile(caller.options())
        tunnels = list_tunnels(profile, endpoint_id=endpoint_id, principal_arn=principal_arn)
    if json:
        import json as json_format

        say(json_format.dumps({"tunnels": [_document(tunnel) for tunnel in tunnels]}))
    else:
        for line in table([_COLUMNS, *map(_row, tunnels)]):
            say(line)


@with_option_groups
def terminate(
    tunnel: Annotated[
        str,
        typer.Argument(metavar="ID", help="The tunnel's id, from 'hatchway tunnels list', or its beginning."),
    ],
    *,
    caller: CallerArguments,
) -> None:
    """End an open tunnel.

    Its gateway closes it within a second; whoever opened it may open another. Needs the permission
    hatchway:TerminateTunnel on the tunnel. To keep somebody out, remove the permission to open tunnels: that
    ends their tunnels too.

    \b
    Example:
      hatchway tunnels terminate tun-0123456789abcdef0
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.api.tunnels import terminate_tunnel

    with client_errors():
        ended = terminate_tunnel(Profile(caller.options()), tunnel)
    told = (
        f"{ended.tunnel_id} of {ended.principal_arn} to {ended.private_ip_address} port {ended.remote_port}"
    )
    say(f"{told} is being ended")


def _row(tunnel: "OpenTunnel") -> tuple[str, ...]:
    return (
        tunnel.tunnel_id,
        tunnel.principal_arn.split(":", 5)[-1],
        tunnel.source_ip,
        f"{tunnel.instance_id or tunnel.private_ip_address}:{tunnel.remote_port}",
        tunnel.endpoint_id,
        f"{tunnel.opened_at:%Y-%m-%d %H:%M:%S}",
        f"{tunnel.expires_at:%H:%M:%S}",
        str(tunnel.bytes_in),
        str(tunnel.bytes_out),
        tunnel.gateway_host or tunnel.gateway_id,
    )


def _document(tunnel: "OpenTunnel") -> dict[str, Any]:
    from dataclasses import asdict

    times = {"opened_at": tunnel.opened_at.isoformat(), "expires_at": tunnel.expires_at.isoformat()}
    return {**asdict(tunnel), **times}
