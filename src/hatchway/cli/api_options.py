"""The options of the API, for `hatchway serve` and `hatchway control`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hatchway.server.gateway_options import Switch

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiArguments:
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
