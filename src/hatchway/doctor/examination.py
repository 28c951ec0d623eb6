"""All checks, in the order in which somebody would look: what the later ones need comes first."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from hatchway.doctor.addresses import check_api, check_covered, check_gateway, check_name
from hatchway.doctor.data_directory import (
    check_certificate_file,
    check_disk,
    check_files,
    check_gateway_key,
    check_store,
)
from hatchway.doctor.findings import Finding, error, unknown, warning
from hatchway.doctor.machine import check_clock, check_core, check_kernel, check_open_files, server_processes
from hatchway.doctor.registered_hosts import check_registered_hosts
from hatchway.doctor.trial_tunnel import check_trial_tunnel
from hatchway.errors import CommandFailed
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation, gateway_dns_names, open_installation
from hatchway.pki.alternative_names import TOO_MANY_NAMES, without_wildcard
from hatchway.pki.certificates import PkiProblem, certificate_names
from hatchway.pki.name_constraints import names_left_out
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory

_MOST_ENDPOINTS: Final = 20
_READ_TIMEOUT: Final = 15.0
"""Seconds for which the database's server may say nothing at all."""


def examine_server(
    directory: DataDirectory, store_url: str | None, names: tuple[str, ...], *, trial: bool = True
) -> Iterator[Finding]:
    """An installation on this machine, its server, and this machine.

    Args:
        names: what clients and hosts call the API besides the URL that its server noted.
        trial: whether to try a tunnel of a server that is started for it.
    """
    processes = server_processes(directory.path)
    yield from check_clock()
    yield from check_open_files(processes)
    yield from check_kernel()
    yield from check_core()
    yield from check_files(directory)
    yield from check_disk(directory)
    try:
        with open_installation(directory, store_url, read_timeout=_READ_TIMEOUT) as installation:
            yield from check_store(installation)
            yield from check_gateway_key(installation)
            yield from check_registered_hosts(installation)
            yield from _check_planes(directory, installation, names)
    except CommandFailed as problem:
        yield error("store", str(problem), "fix that; checks that need the store were skipped")
    if trial:
        yield from check_trial_tunnel()


def _check_planes(
    directory: DataDirectory, installation: Installation, names: tuple[str, ...]
) -> Iterator[Finding]:
    location = ApiLocation.read(directory)
    if not location.noted:
        yield warning(
            "API",
            "no server has run with this data directory",
            f"start one: hatchway serve --data-dir {shlex.quote(str(directory.path))}",
        )
        return
    now = datetime.now(UTC)
    ca_certificate = directory.ca_certificate if location.private_ca else None
    parts = urlsplit(location.url)
    host, port = parts.hostname or "", parts.port or 443
    api = check_api(host, port, ca_certificate, now)
    yield from api.findings
    if location.certificate is not None:
        yield from check_certificate_file(location.certificate, now)
    yield from check_covered(names, host, port, ca_certificate)
    yield from _check_number_of_names(directory, installation)
    own_ca = directory.ca_certificate if directory.ca_certificate.exists() else None
    for name in _names_of_gateways(installation):
        yield from check_name(name)
        if api.gateway_port is None:
            yield unknown(
                f"gateway {name}", "not checked: the API, which knows the gateways' port, did not answer"
            )
        else:
            yield from check_gateway(name, api.gateway_port, own_ca, now)


def _check_number_of_names(directory: DataDirectory, installation: Installation) -> Iterator[Finding]:
    """That the private CA's certificate for this server can have all names of gateways."""
    names = gateway_dns_names(installation)
    try:
        held = certificate_names(read_as_owner(directory.server_certificate))
        left_out = names_left_out(read_as_owner(directory.ca_certificate), names, held)
    except (OSError, PkiProblem):
        # With certificates of the operator's own there need be none.
        return
    if left_out:
        yield warning(
            "names of gateways",
            f"the server's certificate has no room for {len(left_out)} of {len(names)}, such as"
            f" {left_out[0]}: clients that use these names refuse to connect",
            TOO_MANY_NAMES,
        )


def _names_of_gateways(installation: Installation) -> list[str]:
    """Those by which clients look for gateways: where each endpoint has a name of its own, the endpoints'
    names; as many as tell whether the DNS knows them all."""
    fixed = [name for name in gateway_dns_names(installation) if without_wildcard(name) == name]
    fixed = fixed[:_MOST_ENDPOINTS]
    with installation.store.read() as tx:
        own = sorted({endpoint.dns_name for endpoint in tx.endpoints.find(limit=_MOST_ENDPOINTS)})
    return list(dict.fromkeys([*fixed, *own]))[:_MOST_ENDPOINTS]
