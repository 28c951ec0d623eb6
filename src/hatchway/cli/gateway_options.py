"""The options that say how gateways run, of `hatchway serve` and `hatchway gateway`."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from hatchway.cli.options import read_address, read_proxies
from hatchway.errors import BadUsage
from hatchway.server.gateway_options import GatewayOptions, Switch
from hatchway.settings import DEFAULT_DRAIN_NOTICE, DEFAULT_DRAIN_SECONDS, Cipher

Gateway = Annotated[
    str | None,
    typer.Option(
        "--gateway",
        metavar="HOST:PORT",
        help="Where the gateway listens.",
        show_default="127.0.0.1:443 if possible, otherwise 127.0.0.1:8444",
    ),
]
GatewayTlsCert = Annotated[
    Path | None,
    typer.Option(
        "--gateway-tls-cert",
        metavar="FILE",
        help="A certificate for the gateway, with its chain.",
        show_default="server.pem of the data directory, by the private CA",
    ),
]
GatewayTlsKey = Annotated[
    Path | None,
    typer.Option(
        "--gateway-tls-key",
        metavar="FILE",
        help="That certificate's private key.",
        show_default="in server.pem too",
    ),
]
FormerGatewayCert = Annotated[Path | None, typer.Option("--gateway-cert", hidden=True)]
FormerGatewayKey = Annotated[Path | None, typer.Option("--gateway-key", hidden=True)]
"""What the two were called before. `--gateway-key` sounds as if it were the gateway key."""
ProxyProtocolFrom = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy-protocol-from",
        metavar="CIDR",
        help="The addresses of load balancers that send the PROXY protocol, version 1 or 2. May be"
        " repeated. Connections from there must have it; from elsewhere it is ignored. Use"
        " 'anywhere' only if nobody else can connect: whoever can may claim any address.",
    ),
]
Vpcs = Annotated[
    list[str] | None,
    typer.Option(
        "--vpc",
        metavar="NAME|ID",
        help="Serve only the endpoints of this VPC. May be repeated.",
        show_default="every VPC that is no separate network",
    ),
]
Endpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="NAME|ID",
        help="Serve only this endpoint, besides those of --vpc. May be repeated.",
        show_default="all of those VPCs",
    ),
]
NeverTargets = Annotated[
    list[str] | None,
    typer.Option(
        "--never-target",
        metavar="HOST|CIDR",
        help="An address that tunnels may not reach unless an instance is registered there, such as"
        " the API's load balancer. May be repeated. The machines of the gateway, the API and the"
        " store are always included.",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar="HOST:PORT",
        help="Where a gateway serves metrics for Prometheus. The second of several workers uses the"
        " next port, and so on.",
        show_default="nowhere",
    ),
]
DrainPorts = Annotated[
    list[int] | None,
    typer.Option(
        "--drain-port",
        metavar="PORT",
        min=1,
        max=65_535,
        help="The metrics port of another gateway on this machine. Tunnels may not reach it, because"
        " whoever reaches it can drain that gateway. May be repeated. The gateway's own port, and"
        " those of the workers of hatchway serve, are always included.",
    ),
]
IdleLimit = Annotated[
    int | None,
    typer.Option(
        "--idle-limit",
        metavar="SECONDS",
        min=1,
        max=3600,
        help="Close a tunnel with 4002 when it has carried no byte for this long.",
        show_default="never",
    ),
]
DrainTimeout = Annotated[
    float,
    typer.Option(
        "--drain-timeout",
        metavar="SECONDS",
        min=0,
        max=86_400,
        help="How long open tunnels may continue after SIGTERM before they are closed with 1001.",
    ),
]


DrainNotice = Annotated[
    float,
    typer.Option(
        "--drain-notice",
        metavar="SECONDS",
        min=0,
        max=3600,
        help="How long new tunnels are still opened after POST /drain at the metrics port, while"
        " /readyz there already answers 503.",
    ),
]


_HOST: Final = re.compile(r"[0-9A-Za-z_:][0-9A-Za-z_.:-]{0,252}")


MaxTunnels = Annotated[
    int | None,
    typer.Option(
        "--max-tunnels",
        metavar="N",
        min=1,
        help="How many tunnels one gateway process carries at once.",
        show_default="no limit",
    ),
]
Revocation = Annotated[
    Switch,
    typer.Option(
        "--revocation",
        help="Whether an open tunnel is cut when a change of policies, keys, users, endpoints,"
        " instances or security groups means that it is no longer allowed.",
    ),
]

CompiledCore = Annotated[
    Switch | None,
    typer.Option(
        "--compiled-core",
        envvar="HATCHWAY_COMPILED_CORE",
        help="Whether compiled code carries the tunnels' bytes, which takes less CPU. With 'on' a"
        " gateway does not start if it is not available. Without it Python does the same.",
        show_default="on where Hatchway was built with it",
    ),
]

TlsPrefer = Annotated[
    Cipher,
    typer.Option(
        "--tls-prefer",
        help="Which AES-GCM to use with clients that support both. AES-128 takes less CPU at both"
        " ends; AES-256 is for those who are required to use it.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayArguments:
    """What `hatchway serve` and `hatchway gateway` are told of gateways."""

    gateway: Gateway = None
    gateway_tls_cert: GatewayTlsCert = None
    gateway_tls_key: GatewayTlsKey = None
    gateway_cert: FormerGatewayCert = None
    gateway_key: FormerGatewayKey = None
    proxy_protocol_from: ProxyProtocolFrom = None
    vpc: Vpcs = None
    endpoint: Endpoints = None
    never_target: NeverTargets = None
    metrics: Metrics = None
    drain_port: DrainPorts = None
    idle_limit: IdleLimit = None
    max_tunnels: MaxTunnels = None
    revocation: Revocation = Switch.ON
    compiled_core: CompiledCore = None
    tls_prefer: TlsPrefer = Cipher.AES_128
    drain_timeout: DrainTimeout = DEFAULT_DRAIN_SECONDS
    drain_notice: DrainNotice = DEFAULT_DRAIN_NOTICE

    def options(self, vpcs: tuple[str, ...] = (), endpoints: tuple[str, ...] = ()) -> GatewayOptions:
        """
        Args:
            vpcs, endpoints: to which this machine's gateways are bound unless the command line names any.

        Raises:
            BadUsage: an option's value is none that it can have.
        """
        if self.vpc or self.endpoint:
            vpcs, endpoints = tuple(self.vpc or ()), tuple(self.endpoint or ())
        return GatewayOptions(
            proxy_protocol_from=read_proxies("--proxy-protocol-from", self.proxy_protocol_from),
            vpcs=tuple(_name("--vpc", "a VPC", text) for text in vpcs),
            endpoints=tuple(_name("--endpoint", "an endpoint", text) for text in endpoints),
            never_targets=tuple(_host_or_range(text) for text in self.never_target or ()),
            metrics=read_address("--metrics", self.metrics),
            drain_ports=tuple(self.drain_port or ()),
            idle_limit=self.idle_limit,
            max_tunnels=self.max_tunnels,
            revocation=self.revocation,
            drain_notice=self.drain_notice,
            compiled_core=self.compiled_core,
            tls_prefer=self.tls_prefer,
        )


def _name(option: str, what: str, text: str) -> str:
    if not text.strip() or text.startswith("-"):
        raise BadUsage(f"{option} {text!r} is not the name or id of {what}")
    return text


def _host_or_range(text: str) -> str:
    if "/" in text:
        try:
            return str(ipaddress.ip_network(text))
        except ValueError as problem:
            raise BadUsage(f"--never-target {text!r} is not a CIDR range: {problem}") from problem
    if not _HOST.fullmatch(text):
        raise BadUsage(f"--never-target {text!r} is neither a host's name nor an address or CIDR range")
    return text
