"""Commands that make and run a server."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hatchway.cli.gateway_options import GatewayArguments
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import (
    DataDir,
    Json,
    StoreArguments,
    StoreUrl,
    User,
    data_directory,
    known_user,
    read_address,
    read_proxies,
)
from hatchway.errors import BadUsage
from hatchway.server.gateway_options import Switch
from hatchway.settings import LogFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchway.domain.account import Account
    from hatchway.server.options import ServerOptions
    from hatchway.settings import DataDirectory

_Api = Annotated[
    str | None,
    typer.Option("--api", metavar="HOST:PORT", help="Where the API listens.", show_default="127.0.0.1:8443"),
]
_ApiNames = Annotated[
    list[str] | None,
    typer.Option(
        "--api-name",
        metavar="NAME",
        help="What clients and hosts call the API besides, a host name or an address, such as a load"
        " balancer's, for the private CA's certificate. May be repeated.",
    ),
]
_ApiCert = Annotated[
    Path | None,
    typer.Option(
        "--api-cert",
        metavar="FILE",
        help="A certificate for the API, with its chain.",
        show_default="server.pem of the data directory, by the private CA",
    ),
]
_ApiKey = Annotated[
    Path | None,
    typer.Option(
        "--api-key",
        metavar="FILE",
        help="That certificate's private key.",
        show_default="in server.pem too",
    ),
]
_ApiReads = Annotated[
    float | None,
    typer.Option(
        "--api-reads",
        metavar="N",
        min=0,
        help="Calls that change nothing which one principal may make a second; 20 times as many at once after"
        " a pause. 0 is no bound.",
        show_default="100",
    ),
]
_ApiWrites = Annotated[
    float | None,
    typer.Option(
        "--api-writes",
        metavar="N",
        min=0,
        help="The same for calls that change something.",
        show_default="25",
    ),
]
_ApiProxyProtocolFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--api-proxy-protocol-from",
        metavar="CIDR",
        help="Where a load balancer connects to the API from that says by the PROXY protocol, version 1 or 2,"
        " whose connection it passes on. May be repeated. It is required from there and ignored from"
        " elsewhere. 'anywhere' only where nobody else can connect: whoever does may claim any address.",
    ),
]
_AuditFile = Annotated[
    Switch,
    typer.Option(
        "--audit-file",
        help="Whether the audit trail is written to audit.jsonl in the data directory too; it is in the store"
        " in any case.",
    ),
]
_ApiWorkers = Annotated[
    int,
    typer.Option(
        "--api-workers",
        metavar="N",
        min=1,
        max=64,
        help="Processes that share the API's port: as many calls are computed at once. What one principal"
        " may ask in a second is each one's own count.",
    ),
]
_ApiMetrics = Annotated[
    str | None,
    typer.Option(
        "--api-metrics",
        metavar="HOST:PORT",
        help="Where the control plane tells Prometheus what it counts; the second of several processes does"
        " at the next port, and so on.",
        show_default="nowhere",
    ),
]
_Housekeeping = Annotated[
    Switch,
    typer.Option(
        "--housekeeping",
        help="Whether the control plane does what the account needs without being asked: signing keys for"
        " gateways, the audit file, tidying. Of several processes of one server only the first does.",
    ),
]
_LogFormat = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format",
        envvar="HATCHWAY_LOG_FORMAT",
        help="How log lines look: for people, or for programs.",
        show_default="console on a terminal, else json",
    ),
]


_REGION: Final = "us-east-1"
_GATEWAY_DNS_NAME: Final = "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ApiArguments:
    """What `hatchway serve` and `hatchway control` are told of the API."""

    api: _Api = None
    api_name: _ApiNames = None
    api_cert: _ApiCert = None
    api_key: _ApiKey = None
    api_reads: _ApiReads = None
    api_writes: _ApiWrites = None
    api_proxy_protocol_from: _ApiProxyProtocolFrom = None
    api_workers: _ApiWorkers = 1
    api_metrics: _ApiMetrics = None
    housekeeping: _Housekeeping = Switch.ON
    audit_file: _AuditFile = Switch.ON


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProcessArguments:
    """What every process of a server is told."""

    user: User = None
    log_format: _LogFormat = None


def register(app: typer.Typer) -> None:
    for name, command in (("init", init), ("serve", serve), ("control", control), ("gateway", gateway)):
        app.command(name)(command)


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
            help="For what starts servers by itself, such as a container: leave an account that is there as"
            " it is, and make no access key, for its secret would stand in a log. 'hatchway access-key create"
            " --root' makes one.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make a new installation.

    That is a store, a master key, a gateway key, a private CA with a server certificate, and the root access
    key, which is printed once and cannot be shown again.

    \b
    Example:
      hatchway init --data-dir /var/lib/hatchway --gateway-dns-name hatchway.example
    """
    import secrets
    from datetime import UTC, datetime

    from hatchway.domain.account import ENDPOINT_ID_LABEL, Account
    from hatchway.domain.ids import ACCOUNT_ID, REGION
    from hatchway.installation.creation import create_installation
    from hatchway.pki import is_dns_name

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
    if not is_dns_name(gateway_dns_name.removeprefix(f"{ENDPOINT_ID_LABEL}.")):
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
    from hatchway.errors import CommandFailed
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
            typer.echo(
                f"hatchway: warning: account {account.id} is there already, and its {what} stays {value}, not"
                f" {other}",
                err=True,
            )
    if json:
        import json as json_format

        answer = {"account": account.id, "region": account.region, "created": found is None}
        typer.echo(json_format.dumps(answer))
    elif found is None:
        typer.echo(
            f"Account {account.id} in {account.region} is made. Its root user's first access key:"
            " hatchway access-key create --root"
        )
    else:
        typer.echo(f"Account {account.id} in {account.region} is there already")


@with_option_groups
def serve(
    *,
    store: StoreArguments,
    api: _ApiArguments,
    gateway: GatewayArguments,
    gateway_workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=256, help="Gateway processes that share the port.")
    ] = 1,
    process: _ProcessArguments,
) -> None:
    """Run both planes, the API and the gateway.

    Prints one line, 'ready api=URL gateway=URL', when both listen. SIGTERM stops it: new tunnels are
    refused, and open ones run on for up to --drain-timeout seconds.

    \b
    Example:
      hatchway serve --data-dir /var/lib/hatchway --api 0.0.0.0:8443 --gateway 0.0.0.0:443
    """
    from hatchway.server.serving import serve_both

    serve_both(_server_options(store, process, api=api, gateway=gateway, gateway_workers=gateway_workers))


@with_option_groups
def control(*, store: StoreArguments, api: _ApiArguments, process: _ProcessArguments) -> None:
    """Run the control plane alone.

    Prints one line, 'ready api=URL', when it listens.

    \b
    Example:
      hatchway control --data-dir /var/lib/hatchway --api 0.0.0.0:8443
    """
    from hatchway.server.serving import run_control_plane, supervise_control_plane
    from hatchway.supervision.service_manager import ServiceManager
    from hatchway.supervision.supervised import Supervised

    supervised = Supervised.of_environment()
    options = _server_options(store, process, api=api)
    manager = ServiceManager.of_environment() if supervised is None else None
    if supervised is None and (manager is not None or options.api_workers > 1):
        # It needs a process that is there while another takes the place of what serves.
        supervise_control_plane(options, manager)
    else:
        run_control_plane(options, supervised)


@with_option_groups
def gateway(*, store: StoreArguments, gateway: GatewayArguments, process: _ProcessArguments) -> None:
    """Run one gateway process alone.

    Prints one line, 'ready gateway=URL', when it listens. Of the data directory it needs the certificate,
    server.pem, the gateway key, gateway.key, unless HATCHWAY_GATEWAY_KEY holds it, and the store unless
    --store-url says where that is; never the master key or the CA's.

    \b
    Example:
      hatchway gateway --data-dir /var/lib/hatchway --gateway 0.0.0.0:443
    """
    from hatchway.server.serving import run_gateway_plane, supervise_gateway_plane
    from hatchway.supervision.service_manager import ServiceManager
    from hatchway.supervision.supervised import Supervised

    supervised = Supervised.of_environment()
    options = _server_options(store, process, gateway=gateway)
    if supervised is None and (manager := ServiceManager.of_environment()) is not None:
        supervise_gateway_plane(options, manager)
    else:
        run_gateway_plane(options, supervised)


def _server_options(
    store: StoreArguments,
    process: _ProcessArguments,
    *,
    api: _ApiArguments | None = None,
    gateway: GatewayArguments | None = None,
    gateway_workers: int = 1,
) -> "ServerOptions":
    """What the command line says, read, and the log set up as it says.

    Raises:
        BadUsage: an option's value is none that it can have.
    """
    from hatchway.installation.installation import noted_store_url
    from hatchway.installation.joined import Joined
    from hatchway.logs import configure_logs, log_format_for
    from hatchway.server.options import ServerOptions

    api, gateway = api or _ApiArguments(), gateway or GatewayArguments()
    log_format = process.log_format or log_format_for(sys.stderr)
    directory = data_directory(store.data_dir)
    joined = Joined.read(directory)
    options = ServerOptions(
        directory=directory,
        store_url=store.store_url or noted_store_url(directory),
        api=read_address("--api", api.api),
        api_names=_api_names(directory, api.api_name, own_certificate=api.api_cert is not None),
        api_reads=api.api_reads,
        api_writes=api.api_writes,
        api_proxy_protocol_from=read_proxies("--api-proxy-protocol-from", api.api_proxy_protocol_from),
        api_workers=api.api_workers,
        api_metrics=read_address("--api-metrics", api.api_metrics),
        housekeeping=api.housekeeping,
        audit_file=api.audit_file is Switch.ON,
        gateway=read_address("--gateway", gateway.gateway),
        api_certificate=_certificate("api", api.api_cert, api.api_key),
        gateway_certificate=_certificate("gateway", gateway.gateway_cert, gateway.gateway_key),
        gateway_workers=gateway_workers,
        gateway_options=gateway.options(*(() if joined is None else (joined.vpcs, joined.endpoints))),
        drain_seconds=gateway.drain_timeout,
        user=known_user(process.user),
        log_format=log_format,
    )
    configure_logs(log_format)
    return options


def _api_names(
    directory: "DataDirectory", names: list[str] | None, *, own_certificate: bool
) -> tuple[str, ...]:
    """
    Raises:
        BadUsage: no certificate can have one of the names.
    """
    from hatchway.administration.api_urls import check_issuable

    lowered = tuple(name.lower() for name in names or ())
    check_issuable("--api-name", directory, lowered, own_certificate=own_certificate)
    return lowered


def _certificate(plane: str, certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if (certificate is None) != (key is None):
        raise BadUsage(f"give both --{plane}-cert and --{plane}-key, or neither")
    return None if certificate is None or key is None else (certificate.absolute(), key.absolute())
