"""Commands that run a server."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hatchway.cli.api_options import ApiArguments
from hatchway.cli.gateway_options import GatewayArguments
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.options import (
    StoreArguments,
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
    from hatchway.server.options import ServerOptions
    from hatchway.settings import DataDirectory

_LogFormat = Annotated[
    LogFormat | None,
    typer.Option(
        "--log-format",
        envvar="HATCHWAY_LOG_FORMAT",
        help="The format of log lines: for people, or for programs.",
        show_default="console on a terminal, else json",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProcessArguments:
    """What every process of a server is told."""

    user: User = None
    log_format: _LogFormat = None


def register(app: typer.Typer) -> None:
    for name, command in (("serve", serve), ("control", control), ("gateway", gateway)):
        app.command(name)(command)


@with_option_groups
def serve(
    *,
    store: StoreArguments,
    api: ApiArguments,
    gateway: GatewayArguments,
    gateway_workers: Annotated[
        int, typer.Option(metavar="N", min=1, max=256, help="Gateway processes that share the port.")
    ] = 1,
    process: _ProcessArguments,
) -> None:
    """Run both the control plane (the API) and the gateway.

    Prints one line, 'ready api=URL gateway=URL', when both listen. SIGTERM stops it: new tunnels are
    refused, and open ones may continue for up to --drain-timeout seconds.

    \b
    Example:
      hatchway serve --data-dir /var/lib/hatchway --api 0.0.0.0:8443 --gateway 0.0.0.0:443
    """
    from hatchway.server.serving import serve_both

    serve_both(_server_options(store, process, api=api, gateway=gateway, gateway_workers=gateway_workers))


@with_option_groups
def control(*, store: StoreArguments, api: ApiArguments, process: _ProcessArguments) -> None:
    """Run only the control plane.

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
    """Run only one gateway process.

    Prints one line, 'ready gateway=URL', when it listens. In the data directory it needs the
    certificate (server.pem), the gateway key (gateway.key, or HATCHWAY_GATEWAY_KEY) and the store (or
    --store-url), but never the master key or the CA's.

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
    api: ApiArguments | None = None,
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

    api, gateway = api or ApiArguments(), gateway or GatewayArguments()
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
        gateway_certificate=_certificate(
            "gateway-tls",
            _renamed("--gateway-tls-cert", gateway.gateway_tls_cert, "--gateway-cert", gateway.gateway_cert),
            _renamed("--gateway-tls-key", gateway.gateway_tls_key, "--gateway-key", gateway.gateway_key),
        ),
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


def _renamed(option: str, value: Path | None, former: str, given: Path | None) -> Path | None:
    """What an option says, or the name that it had before."""
    if value is not None and given is not None:
        raise BadUsage(f"{former} is {option}, under its former name: give one of them")
    return given if value is None else value


def _certificate(plane: str, certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if (certificate is None) != (key is None):
        raise BadUsage(f"give both --{plane}-cert and --{plane}-key, or neither")
    return None if certificate is None or key is None else (certificate.absolute(), key.absolute())
