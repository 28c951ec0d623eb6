"""The processes of a server as its supervisor starts them: each plane's command line, of the server's own."""

import sys
from typing import Final

from hatchway.keys.key_files import MASTER_KEY
from hatchway.server.gateway_options import Switch
from hatchway.server.options import CertificateFiles, ServerOptions
from hatchway.settings import Address
from hatchway.supervision.supervisor import Program

API: Final = "api"
GATEWAY: Final = "gateway"
"""What listening sockets are called where they are kept for the next server."""

_API_PROXIES: Final = "--api-proxy-protocol-from"


def control_programs(options: ServerOptions, address: Address) -> list[Program]:
    return [_control_program(options, address, number) for number in range(1, options.api_workers + 1)]


def _control_program(options: ServerOptions, address: Address, number: int) -> Program:
    command = _command("control", options, ("--api", address), ("--api", options.api_certificate))
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
        listens=(API, address),
        is_last=True,
    )


def _nth(address: Address | None, number: int) -> Address | None:
    """Where the process of this number tells Prometheus, if the first does at this address."""
    return address and Address(address.host, address.port and address.port + number - 1)


def gateway_program(options: ServerOptions, address: Address, number: int = 1) -> Program:
    tls = "--gateway-tls", options.gateway_certificate
    command = _command("gateway", options, ("--gateway", address), tls)
    arguments = options.gateway_options.arguments(number, options.gateway_workers)
    own = [*arguments, "--drain-timeout", str(options.drain_seconds)]
    return Program(
        f"gateway {number}",
        (*command, *own),
        without=frozenset({MASTER_KEY.variable}),
        listens=(GATEWAY, address),
    )


def _command(
    plane: str,
    options: ServerOptions,
    address: tuple[str, Address],
    tls: tuple[str, CertificateFiles | None],
) -> tuple[str, ...]:
    option, where = address
    pair, certificate = tls
    # -P: a directory of this name where the server was started is not the program.
    command = [sys.executable, "-P", "-m", "hatchway", plane, "--data-dir", str(options.directory.path)]
    command += [option, str(where), "--log-format", options.log_format.value]
    if options.user is not None:
        command += ["--user", options.user]
    if certificate is not None:
        command += [f"{pair}-cert", str(certificate[0]), f"{pair}-key", str(certificate[1])]
    return tuple(command)
