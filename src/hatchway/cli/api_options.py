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
        help="Another name or address of the API for the private CA's certificate, such as a load"
        " balancer's. May be repeated.",
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
        help="How many read-only calls one principal may make a second, with bursts of 20 times as"
        " many after a pause. 0 means no limit.",
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
        help="The addresses of load balancers that send the PROXY protocol, version 1 or 2, to the"
        " API. May be repeated. Connections from there must have it; from elsewhere it is ignored."
        " Use 'anywhere' only if nobody else can connect: whoever can may claim any address.",
    ),
]
_AuditFile = Annotated[
    Switch,
    typer.Option(
        "--audit-file",
        help="Whether the audit trail is also written to audit.jsonl in the data directory; it is"
        " always in the store.",
    ),
]
_ApiWorkers = Annotated[
    int,
    typer.Option(
        "--api-workers",
        metavar="N",
        min=1,
        max=64,
        help="Processes that share the API's port, so that as many calls are computed in parallel. The"
        " limits on calls a second apply to each process.",
    ),
]
_ApiMetrics = Annotated[
    str | None,
    typer.Option(
        "--api-metrics",
        metavar="HOST:PORT",
        help="Where the control plane serves metrics for Prometheus. The second of several processes"
        " uses the next port, and so on.",
        show_default="nowhere",
    ),
]
_Housekeeping = Annotated[
    Switch,
    typer.Option(
        "--housekeeping",
        help="Whether the control plane does background work: signing keys for gateways, the audit"
        " file, deleting what has expired. Of several processes of one server only the first does"
        " it.",
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
