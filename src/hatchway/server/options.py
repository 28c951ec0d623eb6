"""What the command line says of a server."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hatchway.server.gateway_options import GatewayOptions, Switch
from hatchway.settings import (
    DEFAULT_API_PORT,
    DEFAULT_DRAIN_SECONDS,
    DEFAULT_GATEWAY_PORT,
    LOOPBACK,
    Address,
    DataDirectory,
    LogFormat,
    Settings,
    ranges_of,
)

CertificateFiles = tuple[Path, Path]
"""A certificate and its private key."""

DEFAULT_API: Final = Address(LOOPBACK, DEFAULT_API_PORT)
DEFAULT_GATEWAY: Final = Address(LOOPBACK, DEFAULT_GATEWAY_PORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """What the command line says; None stands for the default."""

    directory: DataDirectory
    store_url: str | None = field(default=None, repr=False)
    api: Address | None = None
    gateway: Address | None = None
    api_names: tuple[str, ...] = ()
    api_reads: float | None = None
    api_writes: float | None = None
    api_proxy_protocol_from: tuple[str, ...] = ()
    api_workers: int = 1
    api_metrics: Address | None = None
    housekeeping: Switch = Switch.ON
    audit_file: bool = True
    api_certificate: CertificateFiles | None = None
    gateway_certificate: CertificateFiles | None = None
    gateway_workers: int = 1
    gateway_options: GatewayOptions = field(default_factory=GatewayOptions)
    drain_seconds: float = DEFAULT_DRAIN_SECONDS
    user: str | None = None
    log_format: LogFormat = LogFormat.JSON

    def settings(self) -> Settings:
        """What this says to a process."""
        own = self.directory.server_certificate
        core = self.gateway_options.compiled_core
        api_certificate, api_key = self.api_certificate or (own, own)
        gateway_certificate, gateway_tls_key = self.gateway_certificate or (own, own)
        return Settings(
            data_directory=self.directory,
            store_url=self.store_url or self.directory.store_url,
            api=self.api or DEFAULT_API,
            gateway=self.gateway or DEFAULT_GATEWAY,
            api_certificate=api_certificate,
            api_key=api_key,
            gateway_certificate=gateway_certificate,
            gateway_tls_key=gateway_tls_key,
            api_reads=self.api_reads,
            api_writes=self.api_writes,
            api_proxy_protocol_from=ranges_of(self.api_proxy_protocol_from),
            api_workers=self.api_workers,
            api_metrics=self.api_metrics,
            housekeeping=self.housekeeping is Switch.ON,
            audit_file=self.audit_file,
            proxy_protocol_from=ranges_of(self.gateway_options.proxy_protocol_from),
            vpcs=self.gateway_options.vpcs,
            endpoints=self.gateway_options.endpoints,
            drain_notice=self.gateway_options.drain_notice,
            never_targets=self.gateway_options.never_targets,
            max_tunnels=self.gateway_options.max_tunnels,
            revocation=self.gateway_options.revocation is Switch.ON,
            compiled_core=None if core is None else core is Switch.ON,
            tls_prefer=self.gateway_options.tls_prefer,
            metrics=self.gateway_options.metrics,
            drain_ports=self.gateway_options.drain_ports,
            idle_limit=self.gateway_options.idle_limit,
            drain_seconds=self.drain_seconds,
            run_as=self.user,
        )
