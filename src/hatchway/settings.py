"""The one settings object: what a server process was told by its command line.

`hatchway.server.options` makes it. Every path and address that was not given follows from the data directory.
What is secret is not in it: `hatchway.keys.key_files` reads keys and passwords from the environment or from
files. Of the OTEL_… variables, which are OpenTelemetry's, `hatchway.tracing` makes sense.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

DEFAULT_API_PORT: Final = 8443
DEFAULT_GATEWAY_PORT: Final = 443
"""The only port at which the AWS CLI looks for an endpoint."""
DEFAULT_DRAIN_SECONDS: Final = 10.0
DEFAULT_DRAIN_NOTICE: Final = 15.0
UNPRIVILEGED_GATEWAY_PORT: Final = 8444
LOOPBACK: Final = "127.0.0.1"
ANYWHERE: Final = "anywhere"
"""In the place of the addresses that load balancers connect from: whoever connects is one."""
_EVERY_ADDRESS: Final = ("0.0.0.0/0", "::/0")
STORE_URL_VARIABLE: Final = "HATCHWAY_STORE_URL"

_ADDRESS: Final = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<plain>[^\[\]:\s]+)):(?P<port>[0-9]{1,5})"
)


class Cipher(StrEnum):
    """Of what a server of TLS would rather have its bytes encrypted by."""

    AES_128 = "aes-128"
    AES_256 = "aes-256"


class LogFormat(StrEnum):
    JSON = "json"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a host name or IP address, and a TCP port; port 0 is one that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Reads `HOST:PORT`, an IPv6 address in brackets.

        Raises:
            ValueError: it is something else.
        """
        match = _ADDRESS.fullmatch(text)
        if match is None or int(match["port"]) > 65_535:
            raise ValueError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443")
        return cls(match["bracketed"] or match["plain"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_everywhere(host: str) -> bool:
    """Whether what listens there listens at all addresses of the machine: it is none to reach it at."""
    return host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """What `hatchway init` makes, by name. Only its owner may enter it."""

    path: Path

    @property
    def store(self) -> Path:
        """The embedded SQLite store, when no store URL is given."""
        return self.path / "hatchway.db"

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.store.absolute()}"

    @property
    def master_key(self) -> Path:
        return self.path / "master.key"

    @property
    def gateway_key(self) -> Path:
        """The key under which gateways get their signing keys; no certificate's."""
        return self.path / "gateway.key"

    @property
    def ca_certificate(self) -> Path:
        return self.path / "ca.pem"

    @property
    def next_ca_key(self) -> Path:
        """The key of the CA that takes the place of the one there is, until it does."""
        return self.path / "ca.next.key"

    @property
    def ca_key(self) -> Path:
        return self.path / "ca.key"

    @property
    def server_certificate(self) -> Path:
        """The server's certificate and its private key, in one file so that both change at once."""
        return self.path / "server.pem"

    @property
    def machine(self) -> Path:
        """On a machine that joined: who it is, and where it asks for keys and certificates."""
        return self.path / "machine.json"

    @property
    def unfinished_join(self) -> Path:
        """On a machine whose joining was interrupted: its key, by which it goes on."""
        return self.path / ".unfinished-join"

    @property
    def store_location(self) -> Path:
        """On a machine that joined: the store's URL, with its password."""
        return self.path / "store.url"

    @property
    def api_location(self) -> Path:
        """Where the API listens, as the server noted when it last started."""
        return self.path / "api.json"

    @property
    def audit_log(self) -> Path:
        """The audit trail as JSON lines."""
        return self.path / "audit.jsonl"


def ranges_of(proxies: Iterable[str]) -> tuple[str, ...]:
    """The CIDR ranges of load balancers, as the command line names them."""
    return tuple(cidr for given in proxies for cidr in (_EVERY_ADDRESS if given == ANYWHERE else (given,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    Attributes:
        api_reads, api_writes: calls of each kind that one principal may make in a second; 0 for no bound,
            None for the default.
        proxy_protocol_from: CIDR ranges of the load balancers that speak the PROXY protocol to the gateway.
        api_proxy_protocol_from: the same of the API.
        api_workers: how many processes of the control plane serve together, of which each is one.
        api_metrics: where a process of the control plane tells Prometheus; None for nowhere.
        housekeeping: whether it does what is done without being asked, for the account.
        audit_file: whether the audit trail is written to a file too.
        vpcs, endpoints: names or ids of what a gateway is bound to; where there are none, it serves all VPCs
            that are no separate networks.
        never_targets: hosts, addresses and CIDR ranges that gateways keep tunnels away from, besides their
            own machine's, the API's and the store's.
        max_tunnels: how many tunnels one gateway process carries at once; None for as many as there come.
        revocation: whether open tunnels are cut when they are no longer allowed.
        metrics: where a gateway tells Prometheus; None for nowhere.
        drain_ports: where the gateways do that which run together with it.
        compiled_core: whether a gateway carries bytes by its compiled core; None for where there is one.
        tls_prefer: what a gateway chooses of the ciphers that a client has.
        idle_limit: seconds without a byte after which a tunnel is closed; None for never.
        machine_id: as what this machine joined; None of the one that made the installation.
        gateway_tls_key: of its certificate; the gateway key is `DataDirectory.gateway_key`.
        run_as: the user that a process becomes once its ports are bound; None for the one that started it.
        drain_seconds: how long a stopping process lets what is under way come to its end.
        drain_notice: how long a gateway that is asked to drain opens tunnels still, in seconds.
    """

    data_directory: DataDirectory
    store_url: str = field(repr=False)
    api: Address = Address(LOOPBACK, DEFAULT_API_PORT)
    gateway: Address = Address(LOOPBACK, DEFAULT_GATEWAY_PORT)
    api_certificate: Path
    api_key: Path
    gateway_certificate: Path
    gateway_tls_key: Path
    api_reads: float | None = None
    api_writes: float | None = None
    api_proxy_protocol_from: tuple[str, ...] = ()
    api_workers: int = 1
    api_metrics: Address | None = None
    housekeeping: bool = True
    audit_file: bool = True
    vpcs: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    never_targets: tuple[str, ...] = ()
    max_tunnels: int | None = None
    revocation: bool = True
    compiled_core: bool | None = None
    tls_prefer: Cipher = Cipher.AES_128
    proxy_protocol_from: tuple[str, ...] = ()
    metrics: Address | None = None
    drain_ports: tuple[int, ...] = ()
    idle_limit: int | None = None
    machine_id: str | None = None
    run_as: str | None = None
    drain_seconds: float = DEFAULT_DRAIN_SECONDS
    drain_notice: float = DEFAULT_DRAIN_NOTICE
