"""Running a server: readies the installation, takes the ports, and starts the planes."""

import os
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from hatchway.access.key_files import MASTER_KEY
from hatchway.errors import CommandFailed
from hatchway.failures import failures
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import (
    gateway_dns_names,
    open_installation,
    renew_server_certificate,
    server_names,
)
from hatchway.installation.joined import Joined
from hatchway.installation.secret_files import repair_modes, restrict_to_root
from hatchway.pki import names_beyond, without_wildcard
from hatchway.server.gateway_options import GatewayOptions, Switch
from hatchway.server.ports import default_gateway, held
from hatchway.server.renewal import ASK_SECONDS, ISSUE_SECONDS, looked_after, try_to_ask
from hatchway.settings import (
    DEFAULT_API_PORT,
    DEFAULT_DRAIN_SECONDS,
    DEFAULT_GATEWAY_PORT,
    LOOPBACK,
    STORE_URL_VARIABLE,
    Address,
    DataDirectory,
    LogFormat,
    Settings,
    is_everywhere,
    ranges_of,
)
from hatchway.supervision.handover import Handover
from hatchway.supervision.service_manager import ServiceManager
from hatchway.supervision.supervised import Supervised
from hatchway.supervision.supervisor import Program, supervise

CertificateFiles = tuple[Path, Path]
"""A certificate and its private key."""

log = structlog.get_logger("hatchway.supervisor")

_DEFAULT_API: Final = Address(LOOPBACK, DEFAULT_API_PORT)
_DEFAULT_GATEWAY: Final = Address(LOOPBACK, DEFAULT_GATEWAY_PORT)

# What listening sockets are called where they are kept for the next server.
_API: Final = "api"
_GATEWAY: Final = "gateway"

_API_PROXIES: Final = "--api-proxy-protocol-from"


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
        own = self.directory.server_certificate
        api_certificate, api_key = self.api_certificate or (own, own)
        gateway_certificate, gateway_key = self.gateway_certificate or (own, own)
        return Settings(
            data_directory=self.directory,
            store_url=self.store_url or self.directory.store_url,
            api=self.api or _DEFAULT_API,
            gateway=self.gateway or _DEFAULT_GATEWAY,
            api_certificate=api_certificate,
            api_key=api_key,
            gateway_certificate=gateway_certificate,
            gateway_key=gateway_key,
            gateway_workers=self.gateway_workers,
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
            compiled_core=self.gateway_options.compiled_core is Switch.ON,
            metrics=self.gateway_options.metrics,
            drain_ports=self.gateway_options.drain_ports,
            idle_limit=self.gateway_options.idle_limit,
            drain_seconds=self.drain_seconds,
            run_as=self.user,
            log_format=self.log_format,
        )


def serve_both(options: ServerOptions) -> None:
    """Runs both planes until told to stop.

    Raises:
        CommandFailed: it cannot start.
    """
    settings = options.settings()
    _guard_secrets(options)
    _ask_first(options)
    handover = Handover(ServiceManager.of_environment())
    with (
        held(settings.api, "--api", partial(handover.address, _API)) as api,
        held(
            _gateway_address(options, handover), "--gateway", partial(handover.address, _GATEWAY)
        ) as gateway,
    ):
        with open_installation(options.directory, options.store_url, migrate=True) as installation:
            dns_names = gateway_dns_names(installation)
        names = server_names(
            options.directory, dns_names, api=api.host, gateway=gateway.host, further=options.api_names
        )
        _renew_own_certificate(options, names)
        _check_certificate(settings.api_certificate, settings.api_key)
        _check_certificate(settings.gateway_certificate, settings.gateway_key)
        workers = [_gateway_program(options, gateway, n) for n in range(1, options.gateway_workers + 1)]

        def refresh() -> None:
            _renew_when_due(options, api, gateway.host)

        with _looked_after(options):
            _supervise(
                [*_control_programs(options, api), *workers],
                options,
                handover,
                refresh=refresh,
            )


def supervise_control_plane(options: ServerOptions, manager: ServiceManager | None) -> None:
    """Runs a control plane in processes of its own, until told to stop or to leave it to the next server.

    Raises:
        CommandFailed: it cannot start.
    """
    handover = Handover(manager)
    _ask_first(options)
    with (
        held(options.settings().api, "--api", partial(handover.address, _API)) as api,
        _looked_after(options),
    ):

        def refresh() -> None:
            _renew_when_due(options, api)

        _supervise(_control_programs(options, api), options, handover, refresh=refresh)


def supervise_gateway_plane(options: ServerOptions, manager: ServiceManager) -> None:
    """The same with a gateway.

    Raises:
        CommandFailed: it cannot start.
    """
    handover = Handover(manager)
    wanted = _gateway_address(options, handover)
    _ask_first(options)
    with (
        held(wanted, "--gateway", partial(handover.address, _GATEWAY)) as gateway,
        _looked_after(options),
    ):
        _supervise([_gateway_program(options, gateway)], options, handover)


def run_control_plane(options: ServerOptions, supervised: Supervised | None = None) -> None:
    """Runs a control plane in this process until told to stop.

    Raises:
        CommandFailed: it cannot start.
    """
    from hatchway.control.process import run_control

    settings = replace(options.settings(), machine_id=_machine_id(options.directory))
    if options.store_url is not None and MASTER_KEY.variable in os.environ:
        # Nothing in it has to last: the store and the keys are elsewhere.
        _make_directory(options.directory)
    _guard_secrets(options)
    if supervised is None:
        _ask_first(options)
    with open_installation(options.directory, options.store_url, migrate=True) as installation:
        dns_names = gateway_dns_names(installation)
    names = server_names(options.directory, dns_names, api=settings.api.host, further=options.api_names)
    _renew_own_certificate(options, names)
    _check_certificate(settings.api_certificate, settings.api_key)
    # Once it is another user, who lasts: threads of before would keep what it gives up.
    renewal = ExitStack()

    def on_ready(address: Address) -> None:
        if supervised is None:
            renewal.enter_context(_looked_after(options, settings.api))
        private_ca = options.api_certificate is None
        certificate = settings.api_certificate.absolute()
        ApiLocation.of(
            address, without_wildcard(dns_names[0]), private_ca=private_ca, certificate=certificate
        ).write(options.directory)
        announce_ready({"api": f"https://{address}"})

    with renewal, failures(settings.store_url):
        run_control(settings, on_ready, supervised)


def run_gateway_plane(options: ServerOptions, supervised: Supervised | None = None) -> None:
    """Runs one gateway process until told to stop.

    Raises:
        CommandFailed: it cannot start.
    """
    from hatchway.gateway import run_gateway

    settings = replace(options, gateway=options.gateway or default_gateway()).settings()
    _guard_secrets(options)
    if os.environ.pop(MASTER_KEY.variable, None) is not None:
        log.warning("gateways have no use for the master key", take_away=MASTER_KEY.variable)
    if supervised is None:
        _ask_first(options)
    _check_certificate(settings.gateway_certificate, settings.gateway_key)
    renewal = ExitStack()

    def on_ready(address: Address) -> None:
        if supervised is None:
            renewal.enter_context(_looked_after(options))
        announce_ready({"gateway": f"wss://{address}"})

    with renewal, failures(settings.store_url):
        run_gateway(settings, on_ready, supervised)


def announce_ready(urls: Mapping[str, str]) -> None:
    """The one line that a server prints on standard output: `ready api=https://… gateway=wss://…`."""
    print("ready", *(f"{name}={url}" for name, url in sorted(urls.items())), flush=True)


def _make_directory(directory: DataDirectory) -> None:
    """
    Raises:
        CommandFailed: it cannot be made.
    """
    try:
        directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise CommandFailed(f"cannot make {directory.path}: {problem.strerror}") from problem


def _guard_secrets(options: ServerOptions) -> None:
    """Keeps the data directory's files from others, and the keys that gateways must not have from them.

    Raises:
        CommandFailed: it cannot be done.
    """
    done = repair_modes(options.directory)
    if options.user is not None:
        done += restrict_to_root(options.user, options.directory)
    for what in done:
        log.warning("data directory mended", what=what)


def _ask_first(options: ServerOptions) -> None:
    """On a machine that joined: asks the API what has changed while this did not run. Nobody may be there to
    answer: then what was there is what there is."""
    with failures():
        joined = Joined.read(options.directory)
    if joined is not None:
        try_to_ask(options.directory, joined, _called(options))


def _machine_id(directory: DataDirectory) -> str | None:
    with failures():
        joined = Joined.read(directory)
    return None if joined is None else joined.machine_id


def _called(options: ServerOptions) -> list[str]:
    """By which names the command line says that this machine's API is called."""
    own = [] if options.api is None or is_everywhere(options.api.host) else [options.api.host]
    return [*own, *options.api_names]


def _looked_after(options: ServerOptions, api: Address | None = None) -> AbstractContextManager[None]:
    """A context in which keys and certificates are seen to: on a machine that joined by asking the API, else,
    where `api` says that nobody else does, by the CA's key."""
    with failures():
        joined = Joined.read(options.directory)
    if joined is not None:
        return looked_after(partial(try_to_ask, options.directory, joined, _called(options)), ASK_SECONDS)
    if api is not None:
        return looked_after(partial(_renew_when_due, options, api), ISSUE_SECONDS)
    return nullcontext()


def _renew_when_due(options: ServerOptions, api: Address, gateway: str = "") -> bool:
    """What is done now and then about the server's certificate: it may end soon, or lack a name that gateways
    have been given meanwhile. Whether it could be.

    Args:
        gateway: where the gateways of this server listen, if there are any.
    """
    try:
        with open_installation(options.directory, options.store_url) as installation:
            dns_names = gateway_dns_names(installation)
        names = server_names(
            options.directory, dns_names, api=api.host, gateway=gateway, further=options.api_names
        )
        _renew_own_certificate(options, names)
    except CommandFailed as problem:
        log.error("server certificate not renewed", problem=str(problem))
        return False
    return True


def _renew_own_certificate(options: ServerOptions, names: Sequence[str]) -> None:
    """Puts a new certificate of the private CA in place when one is due, unless all have been given, or this
    plane's has and the CA's key is elsewhere, or this machine joined: then it asks for one."""
    own = options.api_certificate is None or options.gateway_certificate is None
    given = options.api_certificate is not None or options.gateway_certificate is not None
    files = (options.directory.ca_certificate, options.directory.ca_key)
    if given and not all(path.exists() for path in files):
        own = False
    if os.path.lexists(options.directory.machine):
        own = False
    if own and _ca_key_to_come(options.directory):
        log.warning(
            "server certificate is not renewed",
            problem="the CA's key is lost, and the next CA does not issue yet: hatchway ca rotate --step use",
        )
        own = False
    if own and renew_server_certificate(options.directory, names, datetime.now(UTC)):
        log.info("server certificate renewed", names=names)
    if own and (beyond := names_beyond(options.directory.ca_certificate.read_bytes(), names)):
        log.warning(
            "server certificate lacks names",
            names=beyond,
            problem="the private CA may not issue for these, so clients that use them refuse to connect: give"
            " a certificate of your own (--gateway-cert and --gateway-key, --api-cert and --api-key)",
        )


def _ca_key_to_come(directory: DataDirectory) -> bool:
    """Whether this machine took the place of the one with the CA's key, and has the next one's alone."""
    return (
        directory.next_ca_key.exists()
        and not directory.ca_key.exists()
        and directory.server_certificate.exists()
    )


def _check_certificate(certificate: Path, key: Path) -> None:
    """
    Raises:
        CommandFailed: the two do not make a server's certificate.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as problem:
        raise CommandFailed(
            f"{certificate} and {key} are not a certificate and its private key in PEM form"
            f" ({problem.reason or 'unreadable'})"
        ) from problem
    except OSError as problem:
        unreadable = key if certificate.exists() and os.access(certificate, os.R_OK) else certificate
        raise CommandFailed(f"cannot read {unreadable}: {problem.strerror}") from problem


def _gateway_address(options: ServerOptions, handover: Handover) -> Address:
    if options.gateway is not None:
        return options.gateway
    return handover.address(_GATEWAY, _DEFAULT_GATEWAY.host, 0) or default_gateway()


def _supervise(
    programs: Sequence[Program],
    options: ServerOptions,
    handover: Handover,
    refresh: Callable[[], None] = lambda: None,
) -> None:
    if options.store_url is not None:
        # Not on a command line, where everybody could read its password.
        os.environ[STORE_URL_VARIABLE] = options.store_url
    supervise(
        programs,
        drain_seconds=options.drain_seconds,
        announce=announce_ready,
        refresh=refresh,
        handover=handover,
    )


def _control_programs(options: ServerOptions, address: Address) -> list[Program]:
    return [_control_program(options, address, number) for number in range(1, options.api_workers + 1)]


def _control_program(options: ServerOptions, address: Address, number: int) -> Program:
    command = _command("control", options, ("--api", address), options.api_certificate)
    named = [word for name in options.api_names for word in ("--api-name", name)]
    rates = (("--api-reads", options.api_reads), ("--api-writes", options.api_writes))
    bounded = [word for option, rate in rates if rate is not None for word in (option, str(rate))]
    believed = [word for cidr in options.api_proxy_protocol_from for word in (_API_PROXIES, cidr)]
    written = () if options.audit_file else ("--audit-file", Switch.OFF.value)
    together = () if options.api_workers == 1 else ("--api-workers", str(options.api_workers))
    # One of them is enough; where none is to do it, none does.
    kept = () if number == 1 and options.housekeeping is Switch.ON else ("--housekeeping", Switch.OFF.value)
    told = _nth(options.api_metrics, number)
    measured = () if told is None else ("--api-metrics", str(told))
    return Program(
        "control" if number == 1 else f"control {number}",
        (*command, *named, *bounded, *believed, *written, *together, *kept, *measured),
        listens=(_API, address),
        is_last=True,
    )


def _nth(address: Address | None, number: int) -> Address | None:
    """Where the process of this number tells Prometheus, if the first does at this address."""
    return address and Address(address.host, address.port and address.port + number - 1)


def _gateway_program(options: ServerOptions, address: Address, number: int = 1) -> Program:
    command = _command("gateway", options, ("--gateway", address), options.gateway_certificate)
    arguments = options.gateway_options.arguments(number, options.gateway_workers)
    own = [*arguments, "--drain-timeout", str(options.drain_seconds)]
    return Program(
        f"gateway {number}",
        (*command, *own),
        without=frozenset({MASTER_KEY.variable}),
        listens=(_GATEWAY, address),
    )


def _command(
    plane: str, options: ServerOptions, address: tuple[str, Address], certificate: CertificateFiles | None
) -> tuple[str, ...]:
    option, where = address
    # -P: a directory of this name where the server was started is not the program.
    command = [sys.executable, "-P", "-m", "hatchway", plane, "--data-dir", str(options.directory.path)]
    command += [option, str(where), "--log-format", options.log_format.value]
    if options.user is not None:
        command += ["--user", options.user]
    if certificate is not None:
        command += [f"{option}-cert", str(certificate[0]), f"{option}-key", str(certificate[1])]
    return tuple(command)
