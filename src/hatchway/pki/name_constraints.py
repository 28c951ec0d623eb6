"""For which names a CA may issue (RFC 5280 section 4.2.1.10, "Name Constraints")."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from hatchway.pki.alternative_names import fitting, wildcard_of, without_wildcard
from hatchway.pki.certificates import UNREADABLE, PkiProblem

_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?)*"
)
# RFC 1918, RFC 6598, RFC 4193 and loopback: addresses that are nobody's on the Internet.
PRIVATE_RANGES: Final = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
)  # fmt: skip


def is_dns_name(text: str) -> bool:
    """Whether the text can stand in a certificate, and for an endpoint's DnsName, as a host name."""
    return _DNS_NAME.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


def permitted_dns_names(ca_certificate: bytes) -> tuple[str, ...]:
    """The DNS names for which the CA may issue, and for those below them.

    Raises:
        PkiProblem: the certificate is damaged.
    """
    try:
        constraints = (
            x509.load_pem_x509_certificate(ca_certificate)
            .extensions.get_extension_for_class(x509.NameConstraints)
            .value
        )
    except (*UNREADABLE, x509.ExtensionNotFound):
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup") from None
    return tuple(
        name.value for name in constraints.permitted_subtrees or () if isinstance(name, x509.DNSName)
    )


def fenced_names(ca_certificate: bytes) -> tuple[str, ...] | None:
    """The DNS names for which a CA may issue that can do no more than those that are made here; None of any
    other.

    Of a kind of names of which its constraints name none, it may issue for all (RFC 5280 section 4.2.1.10).
    """
    try:
        extensions = x509.load_pem_x509_certificate(ca_certificate).extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        constraints = extensions.get_extension_for_class(x509.NameConstraints)
    except (*UNREADABLE, x509.ExtensionNotFound):
        return None
    permitted = constraints.value.permitted_subtrees or []
    names = [each.value for each in permitted if isinstance(each, x509.DNSName)]
    ranges = [each.value for each in permitted if isinstance(each, x509.IPAddress)]
    private = [ipaddress.ip_network(cidr) for cidr in PRIVATE_RANGES]
    fenced = (
        basic.ca
        and basic.path_length == 0
        and list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
        and constraints.critical
        and len(names) + len(ranges) == len(permitted)
        and bool(names)
        and all(map(is_dns_name, names))
        and bool(ranges)
        and all(any(_holds(one, each) for one in private) for each in ranges)
    )
    return tuple(names) if fenced else None


def names_beyond(ca_certificate: bytes, names: Sequence[str]) -> list[str]:
    """Those of the names for which the CA may not issue.

    Raises:
        PkiProblem: the certificate is damaged.
    """
    try:
        allowed = permitted_names(x509.load_pem_x509_certificate(ca_certificate), names)
    except (*UNREADABLE, x509.ExtensionNotFound):
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup") from None
    possible = set(allowed)
    return [name for name in names if name not in possible]


def names_left_out(ca_certificate: bytes, names: Sequence[str], held: Sequence[str] = ()) -> list[str]:
    """Those for which the CA may issue, and which one certificate for all of the names is not for: they are
    too many.

    Args:
        held: what the certificate is for that there is; its wildcards are taken to stay.

    Raises:
        PkiProblem: the certificate is damaged.
    """
    wildcards = [name for name in held if name != without_wildcard(name)]
    beyond = set(names_beyond(ca_certificate, names))
    allowed = [*wildcards, *(name for name in names if name not in beyond)]
    fit = set(fitting(allowed))
    return [name for name in allowed if name not in fit and wildcard_of(name) not in fit]


def permitted_names(issuer: x509.Certificate, names: Iterable[str]) -> list[str]:
    """Those of the names for which a CA may issue, each once.

    Raises:
        x509.ExtensionNotFound: the CA has no name constraints, so it is none of ours.
    """
    constraints = issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = constraints.permitted_subtrees or ()
    domains = [name.value for name in permitted if isinstance(name, x509.DNSName)]
    networks = [
        ipaddress.ip_network(str(name.value)) for name in permitted if isinstance(name, x509.IPAddress)
    ]

    def permits(name: str) -> bool:
        if isinstance(general_name(name), x509.IPAddress):
            return any(ipaddress.ip_address(name) in network for network in networks)
        return is_dns_name(without_wildcard(name)) and any(
            name == domain or name.endswith(f".{domain}") for domain in domains
        )

    return [name for name in dict.fromkeys(names) if permits(name)]


def general_name(name: str) -> x509.DNSName | x509.IPAddress:
    """A DNS name or an address as it stands in certificates (RFC 5280 section 4.2.1.6)."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _holds(network: Any, inner: Any) -> bool:
    return network.version == inner.version and bool(inner.subnet_of(network))
