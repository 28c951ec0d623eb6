"""The certificates that a server shows: its own, renewed when it is due, or those that it is given."""

import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

import structlog

from hatchway.errors import CommandFailed
from hatchway.installation.installation import renew_server_certificate, server_names
from hatchway.pki.alternative_names import TOO_MANY_NAMES, is_covered
from hatchway.pki.certificates import PkiProblem, certificate_names
from hatchway.pki.name_constraints import names_beyond, names_left_out
from hatchway.privileges import as_owner_of, read_as_owner
from hatchway.server.gateway_names import names_of_gateways
from hatchway.server.options import ServerOptions
from hatchway.settings import Address, DataDirectory

_MOST_TOLD: Final = 20
"""Names in one event of the log: there may be thousands."""

log = structlog.get_logger("hatchway.server")


def renew_when_due(options: ServerOptions, api: Address, gateway: str = "") -> None:
    """What is done now and then about the server's certificate: it may end soon, or lack a name that gateways
    have been given meanwhile.

    Args:
        gateway: where the gateways of this server listen, if there are any.
    """
    try:
        dns_names = names_of_gateways(options)
        names = server_names(
            options.directory, dns_names, api=api.host, gateway=gateway, further=options.api_names
        )
        renew_own_certificate(options, names)
        if gateway:
            check_names(options.gateway_certificate, dns_names)
    except CommandFailed as problem:
        log.error("server certificate not renewed", problem=str(problem))


def renew_own_certificate(options: ServerOptions, names: Sequence[str]) -> None:
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
        held = certificate_names(read_as_owner(options.directory.server_certificate))
        log.info("server certificate renewed", names=held[:_MOST_TOLD], number=len(held))
    if not own:
        return
    authorities = read_as_owner(options.directory.ca_certificate)
    if left_out := names_left_out(authorities, names):
        log.error(
            "server certificate lacks names",
            names=left_out[:_MOST_TOLD],
            number=len(left_out),
            problem=f"clients that use these refuse to connect: {TOO_MANY_NAMES}",
        )
    if beyond := names_beyond(authorities, names):
        log.warning(
            "server certificate lacks names",
            names=beyond[:_MOST_TOLD],
            number=len(beyond),
            problem="the private CA may not issue for these, so clients that use them refuse to connect: give"
            " a certificate of your own (--gateway-tls-cert and --gateway-tls-key, --api-cert and --api-key)",
        )


def _ca_key_to_come(directory: DataDirectory) -> bool:
    """Whether this machine took the place of the one with the CA's key, and has the next one's alone."""
    return (
        directory.next_ca_key.exists()
        and not directory.ca_key.exists()
        and directory.server_certificate.exists()
    )


def check_certificate(certificate: Path, key: Path) -> None:
    """
    Raises:
        CommandFailed: the two do not make a server's certificate, or cannot be read.
    """
    try:
        with as_owner_of(key.absolute().parent):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key, partial(_refuse_passphrase, key))
    except ssl.SSLError as problem:
        raise CommandFailed(
            f"{certificate} and {key} are not a certificate and its private key in PEM form"
            f" ({problem.reason or 'unreadable'})"
        ) from problem
    except OSError as problem:
        readable = certificate.is_file() and os.access(certificate, os.R_OK)
        raise CommandFailed(
            f"cannot read {key if readable else certificate}: {problem.strerror}"
        ) from problem


def check_names(given: tuple[Path, Path] | None, names: Sequence[str]) -> None:
    """Tells the log of names of gateways that a certificate which was given for them does not have, as one
    that was put in its place for another host has none."""
    if given is None:
        return
    certificate, _ = given
    try:
        held = certificate_names(read_as_owner(certificate))
    except (OSError, PkiProblem):
        # Who shows it says what is wrong with it.
        return
    lacking = [name for name in names if name not in held and not is_covered(name, held)]
    if lacking:
        log.warning(
            "gateway certificate lacks names",
            certificate=str(certificate),
            names=lacking[:_MOST_TOLD],
            number=len(lacking),
            has=list(held[:_MOST_TOLD]),
            problem="clients that call this gateway by them refuse to connect: put one that has them in its"
            " place and reload the server (SIGHUP), unless they lead to other gateways",
        )


def _refuse_passphrase(key: Path) -> NoReturn:
    """Where OpenSSL would ask at the terminal, if there is one, and wait."""
    raise CommandFailed(
        f"{key} has a passphrase, which a server cannot be asked for: openssl pkey -in {key} -out FILE writes"
        " one without, for the server's user alone"
    )
