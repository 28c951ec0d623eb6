"""Hosts that an importer has found, and the fleet file of them."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hatchway.domain.addresses import parse_address
from hatchway.domain.network import InstanceState
from hatchway.domain.text import line_problem
from hatchway.fleet.export import yaml_text
from hatchway.fleet.problems import quoted

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of what is imported at once."""
MOST_HOSTS: Final = 100_000
_MOST_TAGS: Final = 50

Resolve = Callable[[str], str | None]
"""The address of a host's name, or None when nothing knows it."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotImported(ValueError):
    """Nothing can be imported; the message says why."""


def nobody_knows(_: str) -> str | None:
    """Resolves nothing: a name is no address."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedHost:
    """A host. `address` is an IP address, or the name of the host as its source has it."""

    name: str
    address: str
    id: str | None = None
    state: InstanceState = InstanceState.RUNNING
    instance_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """What was found, and what is to be said of it, in the order of the source."""

    hosts: list[ImportedHost] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, name: str, why: str) -> None:
        self.notes.append(f"{quoted(name)[1:-1]} is left out: {why}")

    def say(self, name: str, what: str) -> None:
        self.notes.append(f"{quoted(name)[1:-1]}: {what}")


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """A fleet file's text, how many instances it has, and what is to be said of the import."""

    text: str
    instances: int
    notes: tuple[str, ...]


def content_text(content: bytes) -> str:
    """
    Raises:
        NotImported: it is too large, or no UTF-8 text.
    """
    if len(content) > MOST_BYTES:
        raise NotImported(f"it has more than {MOST_BYTES // 1024**2} MiB: import it in parts")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise NotImported(f"it is not UTF-8 text (byte {problem.start})") from None


def to_fleet(found: Found, *, vpc: str, prefix: int = 24, resolve: Resolve = nobody_knows) -> ImportedFile:
    """The fleet file of hosts of which no networks are known: each is taken to be in one of a likely size.

    Args:
        vpc: the name of the VPC that they are put into.
        prefix: the length of the IPv4 subnets; those of IPv6 are /64.
        resolve: is asked for what is no address.

    Raises:
        NotImported: there is nothing to import.
    """
    networks: dict[Network, str] = {}
    instances: dict[str, Any] = {}
    taken: dict[str, str] = {}
    for host in found.hosts[:MOST_HOSTS]:
        name = fleet_name(host.name)
        address = address_of(host.address) or address_of(resolve(host.address) or "")
        if name in instances:
            found.leave_out(host.name, f"the name {name} is there twice")
        elif address is None:
            found.leave_out(host.name, f"{quoted(host.address)} is no IP address: give one, or --resolve")
        elif (other := taken.setdefault(str(address), name)) != name:
            found.leave_out(host.name, f"{other} has its address {address}")
        elif address.is_loopback or address.is_multicast or address.is_unspecified:
            found.leave_out(host.name, f"{address} is no address of a host in a network")
        else:
            network = _network(address, prefix)
            if network.prefixlen < 31 and address in (network[0], network[-1]) and address.version == 4:
                found.leave_out(
                    host.name, f"{address} would be no host's in {network}: give its network by --prefix"
                )
                continue
            subnet = networks.setdefault(network, f"{network.network_address.compressed}-{network.prefixlen}")
            instances[name] = instance_form(
                found, host, f"{vpc}/{subnet_name(subnet)}", {address.version: str(address)}
            )
    if len(found.hosts) > MOST_HOSTS:
        found.notes.append(f"only the first {MOST_HOSTS} of {len(found.hosts)} hosts were looked at")
    if not instances:
        raise NotImported("\n".join((*found.notes[:20], "there is no host that could be imported")))
    ranges: list[str] = []
    for version in (4, 6):
        same = [network for network in networks if network.version == version]
        ranges += map(str, ipaddress.collapse_addresses(same))  # type: ignore[type-var]
    form = {
        "vpcs": {
            vpc: {
                "cidr": ranges,
                "subnets": {subnet_name(name): {"cidr": str(network)} for network, name in networks.items()},
            }
        },
        "instances": instances,
    }
    return ImportedFile(yaml_text(form), len(instances), tuple(found.notes))


def subnet_name(text: str) -> str:
    """A subnet's name out of its range, which for IPv6 may begin with a colon."""
    return text if text[0] != ":" else f"0{text}"


def instance_form(
    found: Found, host: ImportedHost, subnet: str, addresses: Mapping[int, str]
) -> dict[str, Any]:
    """An instance in the words of the fleet file."""
    form: dict[str, Any] = {"subnet": subnet}
    if host.id is not None:
        form = {"id": host.id, **form}
    if 4 in addresses:
        form["private_ip"] = addresses[4]
    if 6 in addresses:
        form["ipv6"] = addresses[6]
    if host.state is not InstanceState.RUNNING:
        form["state"] = host.state.value
    if host.instance_type is not None:
        if re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", host.instance_type):
            form["instance_type"] = host.instance_type
        else:
            found.say(host.name, f"{quoted(host.instance_type)} is no instance type, and left out")
    if tags := good_tags(found, host.name, host.tags):
        form["tags"] = tags
    return form


def good_tags(found: Found, name: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that a thing may have; of the others it is said that they are left out."""
    kept: dict[str, str] = {}
    lost = []
    for key, value in tags.items():
        good = (
            1 <= len(key) <= 128
            and len(value) <= 256
            and not line_problem(key)
            and not line_problem(value)
            and not key.lower().startswith("aws:")
            and key.lower() not in (other.lower() for other in kept)
            and len(kept) < _MOST_TAGS
        )
        if good:
            kept[key] = value
        elif not key.lower().startswith("aws:"):
            lost.append(key)
    if lost:
        found.say(name, f"tags that nothing here can have are left out: {', '.join(map(quoted, lost[:5]))}")
    return kept


def fleet_name(name: str) -> str:
    """The nearest that a fleet file can call something."""
    plain = re.sub(r"[^A-Za-z0-9 ._:@+=,()-]", "-", name)[:128].strip(" ")
    return plain if re.match(r"[A-Za-z0-9_]", plain) else f"_{plain}"[:128].strip(" ")


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is, if it is one."""
    try:
        return parse_address(text)
    except ValueError:
        return None


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int) -> Network:
    return ipaddress.ip_network(f"{address}/{prefix if address.version == 4 else 64}", strict=False)
