"""The hosts that a caller may see, and which of them somebody means by a name, an address or an id."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hatchway.client.api.ids import as_text, in_form, is_whole
from hatchway.client.api.profile import api_errors
from hatchway.client.errors import ApiError, InvalidOption, NotFound, printable
from hatchway.domain.addresses import parse_address
from hatchway.domain.ids import INSTANCE_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hatchway.client.api.api_client import Question

RUNNING: Final = "running"
"""The only state in which an instance is reached."""

_LONGEST_NAME: Final = 255
"""Characters of a tag's value that a filter takes, which are fewer than EC2 lets a tag have."""
_CANDIDATES_TOLD: Final = 5
_OPERATION: Final = "DescribeInstances"
_LARGEST_PAGES: Final = {"PageSize": 1000}
"""Each page is a call, with its record in the audit trail."""


class NoSuchHost(NotFound):
    """No host is called so; of those, at least, that the caller may see."""


Filter = tuple[str, "Sequence[str]"]
"""A filter of DescribeInstances: its name and the values of which one has to match, with `*` and `?`."""


class Host(NamedTuple):
    """An instance as the API describes it, its IPv4 address first.

    `name` is its tag Name, empty without one. `vpc_id` and `subnet_id` are empty where the API names none.
    """

    instance_id: str
    state: str
    vpc_id: str = ""
    subnet_id: str = ""
    addresses: tuple[str, ...] = ()
    tags: Mapping[str, str] = MappingProxyType({})

    @property
    def name(self) -> str:
        return self.tags.get("Name", "")

    def __str__(self) -> str:
        said = printable(self.instance_id, 100)
        return f"{printable(self.name, 300)} ({said})" if self.name else said


def describe_hosts(ec2: Any, filters: Iterable[Filter] = ()) -> list[Host]:
    """All instances that match every filter.

    Args:
        ec2: botocore's client.

    Raises:
        ApiError: the call was refused or not answered.
    """
    pages = ec2.get_paginator("describe_instances")
    with api_errors(_OPERATION):
        return [
            host
            for page in pages.paginate(Filters=_asked(filters), PaginationConfig=_LARGEST_PAGES)
            for host in _hosts(page)
        ]


def _asked(filters: Iterable[Filter]) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": list(values)} for name, values in filters]


def find_instance(ec2: Any, instance_id: str) -> Host:
    """The instance of this id; or of an id that begins so, if it is the only one.

    Args:
        ec2: botocore's client.

    Raises:
        InvalidOption: it is no instance id.
        NotFound: there is no such instance, or several; it does not run, or has no address in a VPC.
        ApiError: the call was refused or not answered.
    """
    return _reachable(_by_id(ec2, instance_id))


def identify_host(ec2: Any, named: str) -> str:
    """The id of the instance that is meant by its id, the beginning of that, an address or a tag Name,
    whether it runs or not. For a whole id nothing is asked.

    Args:
        ec2: botocore's client.

    Raises:
        InvalidOption, NotFound, ApiError: as `find_host`.
    """
    if is_whole(named) and INSTANCE_ID.fullmatch(named):
        return named
    try:
        return _identified(ec2, named).instance_id
    except ApiError as refused:
        # Who may not look hosts up may well name one by its id.
        if refused.code and INSTANCE_ID.fullmatch(named):
            return named
        raise


def _by_id(ec2: Any, instance_id: str, *, running_first: bool = True) -> Host:
    check_instance_id(instance_id)
    if not is_whole(instance_id):
        found = describe_hosts(ec2, [_filter(instance_id)])
        exact = [host for host in found if host.instance_id == instance_id]
        if not found:
            raise NoSuchHost(
                f"there is no instance {instance_id} that you may see, nor one whose id begins so"
            )
        return _one_of(instance_id, exact or found, "by more of its id", running_first=running_first)
    with api_errors(_OPERATION):
        found = _hosts(ec2.describe_instances(InstanceIds=[instance_id]))
    if not found:
        raise NoSuchHost(f"there is no instance {instance_id}")
    return found[0]


def names_a_host(text: str) -> bool:
    """Whether `find_host` takes it for a name: it takes an id, and then an address, for what they are."""
    if INSTANCE_ID.fullmatch(text):
        return False
    try:
        parse_address(text)
    except ValueError:
        return True
    return False


def find_host(ec2: Any, named: str) -> Host:
    """The host that is meant by an instance's id, the beginning of one, a private address, or the value of a
    tag Name.

    What runs is meant before what does not. By an address it is reached at that address and no other.

    Args:
        ec2: botocore's client.

    Raises:
        InvalidOption: nothing can be called so.
        NotFound: there is none, it does not run, or several are called so, of which some are told.
        ApiError: the call was refused or not answered.
    """
    return _reachable(_identified(ec2, named, running_first=True))


def _identified(ec2: Any, named: str, *, running_first: bool = False) -> Host:
    if INSTANCE_ID.fullmatch(named):
        return _by_id(ec2, named, running_first=running_first)
    check_host(named)
    found = describe_hosts(ec2, [_filter(named)])
    try:
        address = str(parse_address(named))
    except ValueError:
        if not found:
            raise NoSuchHost(
                f"there is no host {named!r} that you may see: 'hatchway hosts' lists them, each by its tag"
                " Name"
            ) from None
        return _one_of(named, found, running_first=running_first)
    if not found:
        raise NoSuchHost(
            f"no host that you may see has the address {address}: 'hatchway hosts' lists them; what is no"
            " instance is reached by 'hatchway open-tunnel --private-ip-address'"
        )
    return _one_of(named, found, running_first=running_first)._replace(addresses=(address,))


def check_instance_id(instance_id: str) -> None:
    """
    Raises:
        InvalidOption: it is none.
    """
    if not INSTANCE_ID.fullmatch(instance_id):
        raise InvalidOption(
            f"{printable(instance_id, 300)!r} is not an instance id, which looks like i-0123456789abcdef0"
        )


def check_host(named: str) -> None:
    """
    Raises:
        InvalidOption: nothing can be called so.
    """
    if not 1 <= len(named) <= _LONGEST_NAME or not named.isprintable():
        raise InvalidOption(
            f"{printable(named, 300)!r} can be no host: give a name, an address or an instance's id"
        )


def host_question(named: str) -> Question:
    """What `find_host` and `find_instance` ask first, so that it can be asked ahead."""
    if INSTANCE_ID.fullmatch(named) and is_whole(named):
        return _OPERATION, {"InstanceIds": [named]}
    return _OPERATION, {"Filters": _asked([_filter(named)]), "MaxResults": _LARGEST_PAGES["PageSize"]}


def _filter(named: str) -> Filter:
    """By which a host is found that is named otherwise than by a whole id."""
    if INSTANCE_ID.fullmatch(named):
        return "instance-id", [f"{named}*"]
    try:
        address = str(parse_address(named))
    except ValueError:
        return "tag:Name", [literal(named)]
    return "ipv6-address" if ":" in address else "private-ip-address", [address]


def _one_of(
    named: str, found: Sequence[Host], how: str = "by its id", *, running_first: bool = False
) -> Host:
    running = [host for host in found if host.state == RUNNING] if running_first else ()
    candidates = running or found
    if len(candidates) == 1:
        return candidates[0]
    told = [
        printable(f"{host.instance_id} at {' and '.join(host.addresses)} in {host.vpc_id}", 300)
        for host in candidates[:_CANDIDATES_TOLD]
    ]
    if len(candidates) > len(told):
        told.append(f"{len(candidates) - len(told)} more")
    raise NotFound(
        f"{named!r} may be any of {len(candidates)} hosts, {', '.join(told)}: name the one you mean {how}"
    )


def _reachable(host: Host) -> Host:
    if host.state != RUNNING:
        raise NotFound(f"instance {host} is {printable(host.state)}: it must be running to be reached")
    if not host.addresses or not host.vpc_id or not host.subnet_id:
        raise NotFound(f"instance {host} has no address in a VPC")
    return host


def literal(value: str) -> str:
    """A filter's value that means just this (AWS: "Filter your resources", wildcards)."""
    return "".join(f"\\{character}" if character in "\\*?" else character for character in value)


def _hosts(answer: Mapping[str, Any]) -> list[Host]:
    """
    Raises:
        ValueError: an id, an address or a text is none. They become words of commands, and names of files.
    """
    return [
        Host(
            instance_id=in_form(INSTANCE_ID, instance["InstanceId"]),
            state=as_text(instance.get("State", {}).get("Name", RUNNING)),
            vpc_id=as_text(instance.get("VpcId", "")),
            subnet_id=as_text(instance.get("SubnetId", "")),
            addresses=tuple(
                str(parse_address(address))
                for address in (instance.get("PrivateIpAddress"), instance.get("Ipv6Address"))
                if address
            ),
            tags={as_text(tag["Key"]): as_text(tag.get("Value", "")) for tag in instance.get("Tags", ())},
        )
        for reservation in answer["Reservations"]
        for instance in reservation["Instances"]
    ]
