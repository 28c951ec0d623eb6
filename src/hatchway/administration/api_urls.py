"""The URL of the API for somebody: a profile here, a bundle for another machine, a host.

Whatever address a command hands out is one that the API's certificate is for; otherwise it says at once why
nobody could use it.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from hatchway.domain.counting import counted
from hatchway.domain.network import Instance
from hatchway.errors import BadUsage
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import Installation, gateway_dns_names, server_names
from hatchway.pki.alternative_names import TOO_MANY_NAMES, fitting, is_covered, without_wildcard
from hatchway.pki.certificates import PkiProblem, certificate_names
from hatchway.pki.name_constraints import is_dns_name, names_beyond, names_left_out
from hatchway.privileges import read_as_owner
from hatchway.settings import Address, DataDirectory, is_everywhere
from hatchway.transport.own_addresses import OwnAddresses

_URL: Final = re.compile(r"[!-~]{1,2048}")
_MOST_NOTES: Final = 20
_LISTEN: Final = "start the server with --api 0.0.0.0:8443"


@dataclass(frozen=True, slots=True)
class ApiUrl:
    """`notes` are for whoever runs the command."""

    url: str
    notes: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


def here(installation: Installation, given: str | None, *, private_ca: bool) -> ApiUrl:
    """The URL for a profile on this machine.

    Args:
        given: what the operator wants it to be.
        private_ca: whether clients are to trust the private CA. If not, what is in front of the API may show
            them another certificate than its own.

    Raises:
        BadUsage: it is no URL of an API, or the certificate is not for its host.
    """
    location = ApiLocation.read(installation.directory)
    url = _checked("--endpoint-url", given, location.url, installation, location, private_ca=private_ca)
    if given is None and not location.noted:
        note = (
            f"no server has noted yet where its API listens: the profile has {url.url}, where it does unless"
            " told otherwise. For another, change the profile's endpoint_url, or give --endpoint-url"
        )
        return ApiUrl(url.url, (*url.notes, note))
    return url


def elsewhere(installation: Installation, given: str | None, *, private_ca: bool) -> ApiUrl:
    """The URL for a user's own machine. As `here`, and it leads off this machine.

    Raises:
        BadUsage: likewise, or no other machine reaches it.
    """
    location = ApiLocation.read(installation.directory)
    url = _checked("--endpoint-url", given, location.url, installation, location, private_ca=private_ca)
    if _is_loopback(url.host):
        ways = "give --endpoint-url" if location.everywhere else f"{_LISTEN}, or give --endpoint-url"
        raise BadUsage(
            f"{url.url} leads nowhere on another machine: {ways} with a name or address of this one"
        )
    return url


def for_host(
    installation: Installation, given: str | None, instance: Instance, *, private_ca: bool
) -> ApiUrl:
    """The URL at which a host asks for keys; by default one that leads from the host to this machine.

    Raises:
        BadUsage: as `elsewhere`.
    """
    location = ApiLocation.read(installation.directory)
    if given is not None:
        url = _checked("--api-url", given, given, installation, location, private_ca=private_ca)
        if _is_loopback(url.host) and not _is_here(instance):
            note = f"{url.host} is the host itself: what listens there must lead to this API"
            return ApiUrl(url.url, (*url.notes, note))
        return url
    wanted = location.url
    if _is_loopback(urlsplit(wanted).hostname or "") and not _is_here(instance):
        address = _source_address_towards(instance) if location.everywhere else None
        if address is None:
            ways = "give --api-url" if location.everywhere else f"{_LISTEN}, or give --api-url"
            raise BadUsage(
                f"{wanted} leads nowhere from {instance.name}: {ways} with a name or address of this machine"
            )
        wanted = f"https://{Address(address, urlsplit(wanted).port or 443)}"
    url = _checked("--api-url", None, wanted, installation, location, private_ca=private_ca)
    note = f"the host is to ask {url.url}; if it does not reach that, give --api-url"
    return ApiUrl(url.url, (*url.notes, note))


def leads_nowhere(url: str) -> bool:
    """Whether a URL is one by which no other machine reaches this one."""
    return _is_loopback(urlsplit(url).hostname or "")


def gateway_name_notes(installation: Installation, before: Sequence[str]) -> list[str]:
    """What to do so that clients trust gateways under names that they did not have before."""
    directory = installation.directory
    known = set(before)
    names = gateway_dns_names(installation)
    new = [name for name in names if name not in known]
    try:
        authorities = read_as_owner(directory.ca_certificate)
        covered = certificate_names(read_as_owner(directory.server_certificate))
        beyond = set(names_beyond(authorities, new))
        left_out = names_left_out(authorities, names, covered)
    except (OSError, PkiProblem):
        # With certificates of the operator's own there need be none.
        return []
    missing = beyond.union(left_out)
    notes = [
        f"the server's certificate gets the name {name} when the server is reloaded (SIGHUP) or started again"
        for name in fitting(new)
        if name not in missing and not is_covered(name, covered)
    ]
    notes += [
        f"the private CA may not issue for {name}: give the gateways there a certificate of their own"
        " (--gateway-tls-cert and --gateway-tls-key)"
        for name in new
        if name in beyond
    ]
    if len(notes) > _MOST_NOTES:
        notes = [*notes[:_MOST_NOTES], f"and so on for {counted(len(notes) - _MOST_NOTES, 'name')} more"]
    if new and left_out:
        notes.append(
            f"the server's certificate cannot have {len(left_out)} of the {len(names)} names of gateways,"
            f" such as {left_out[0]}, so that clients that use these refuse to connect: {TOO_MANY_NAMES}"
        )
    return notes


def check_issuable(
    option: str, directory: DataDirectory, names: Sequence[str], *, own_certificate: bool
) -> None:
    """
    Args:
        own_certificate: whether the operator's own certificate is used, so that these names could not get in.

    Raises:
        BadUsage: the private CA's certificate cannot have one of the names.
    """
    if names and own_certificate:
        raise BadUsage(f"{option} is for the private CA's certificate: yours has the names that it has")
    for name in names:
        if not is_dns_name(without_wildcard(name)) and not _is_address(name):
            raise BadUsage(f"{option} {name!r} is neither a host name nor an address")
    try:
        beyond = names_beyond(read_as_owner(directory.ca_certificate), names) if names else []
    except (OSError, PkiProblem) as problem:
        raise BadUsage(
            f"{option}: the private CA's certificate {directory.ca_certificate}: {problem}"
        ) from problem
    if beyond:
        raise BadUsage(
            f"{option} {beyond[0]}: the private CA may not issue for it: give a certificate for it"
            " (--api-cert and --api-key)"
        )


def _checked(
    option: str,
    given: str | None,
    default: str,
    installation: Installation,
    location: ApiLocation,
    *,
    private_ca: bool,
) -> ApiUrl:
    """The URL that the option gives, or else the default."""
    url = default if given is None else given
    what = f"the API's own address {url}" if given is None else f"{option} {url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    if not _URL.fullmatch(url) or not url.startswith("https://") or port == 0 or not (
        is_dns_name(host) or _is_address(host)
    ):  # fmt: skip
        raise BadUsage(
            f"{option} {url!r} is not an https:// URL of an API, such as https://hatchway.example:8443"
        )
    if is_everywhere(host):
        raise BadUsage(
            f"{what}: a server listens at {host}, but nobody reaches it there: give a name or address"
        )
    names = _names(installation, location)
    if names is None or is_covered(host, names):
        return ApiUrl(url)
    others = list(dict.fromkeys(name for name in names if not _is_loopback(name)))
    problem = (
        f"{what}: the API's certificate is not for {host}, so that clients refuse it. It is for"
        f" {', '.join(others) or 'this machine alone'}"
    )
    if private_ca:
        names_one = f"give {option} with a name or address of these" if others else f"give {option}"
        one = names_one if given is None else "give one of these"
        raise BadUsage(f"{problem}: {one}, or {_way_to_cover(host, installation.directory)}")
    return ApiUrl(url, (f"{problem}: only what shows them another one can be in front of it there",))


def _names(installation: Installation, location: ApiLocation) -> list[str] | None:
    """What the API's certificate is for; None where that cannot be told."""
    if location.certificate is None:
        return None
    try:
        names = list(certificate_names(read_as_owner(location.certificate, installation.directory.path)))
    except (OSError, PkiProblem):
        # The server says what is wrong with it.
        return None
    if not location.noted:
        # The certificate that the server issues when it starts.
        names += server_names(installation.directory, gateway_dns_names(installation), api="")
    return names


def _way_to_cover(host: str, directory: DataDirectory) -> str:
    try:
        if not names_beyond(read_as_owner(directory.ca_certificate), [host]):
            return f"start the server with --api-name {host}"
    except (OSError, PkiProblem):
        pass
    return "give the API a certificate of your own (--api-cert and --api-key)"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if _is_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _is_here(instance: Instance) -> bool:
    """Whether the instance is this machine itself, which may be a host too."""
    own = OwnAddresses()
    try:
        return any(own.holds(ipaddress.ip_address(address)) for address in instance.addresses)
    finally:
        own.close()


def _source_address_towards(instance: Instance) -> str | None:
    """The address of this machine that packets to the instance would have, if there is a way to it."""
    for address in instance.addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((address, 9))
            except OSError:
                continue
            return str(sock.getsockname()[0]).partition("%")[0]
    return None
