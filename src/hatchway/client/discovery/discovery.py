"""From what the user named to a tunnel that can be asked for, as `aws ec2-instance-connect` finds its way."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hatchway.client.api.ids import as_text, in_form, is_whole, only_one
from hatchway.client.api.profile import api_errors
from hatchway.client.connection.proxy import proxy_for
from hatchway.client.discovery.cache import Found, Place, Refusals
from hatchway.client.discovery.hosts import (
    check_host,
    check_instance_id,
    find_host,
    find_instance,
    host_question,
)
from hatchway.client.discovery.os_user import is_os_user
from hatchway.client.discovery.plan import HTTPS_PORT, Route, TunnelPlan
from hatchway.client.discovery.request import TunnelRequest
from hatchway.client.errors import ApiError, InvalidOption, NotFound, printable
from hatchway.domain.ids import ENDPOINT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hatchway.client.api.api_client import Question
    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.cache import AnswerCache
    from hatchway.client.discovery.hosts import Host

USABLE_STATES: Final = ("create-complete", "update-in-progress", "update-failed", "update-complete")
"""States in which an endpoint opens tunnels."""

_DNS_NAME: Final = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z.-]{0,252}")
"""As the AWS CLI takes it (`--instance-connect-endpoint-dns-name`), but for a hyphen at its beginning."""

_UNSETTLED: Final = frozenset({"update-in-progress", "update-failed"})

MOST_TRIED: Final = 3
"""Endpoints that a tunnel is asked of, where one after the other refuses."""

_SERVER_ERRORS: Final = 500
"""The first status that says nothing of what was asked for (RFC 9110 section 15.6)."""

_DISCOVERY_PATH: Final = "/.well-known/hatchway"
_DISCOVERY_LIMIT: Final = 65536


class TunnelOptions(NamedTuple):
    """What the user says of a tunnel: the AWS CLI's options, then Hatchway's own.

    `host` is an instance by its name, its address or its id: see `find_host`. `gateway_port` and
    `gateway_address` say where to connect when the endpoint's DNS name does not; `source_address` is the
    local address to connect from. `others` are what to try where an endpoint refuses that is given with the
    address and its DNS name.
    """

    instance_id: str | None = None
    private_ip_address: str | None = None
    instance_connect_endpoint_id: str | None = None
    instance_connect_endpoint_dns_name: str | None = None
    remote_port: int = 22
    max_tunnel_duration: int | None = None
    host: str | None = None
    gateway_port: int | None = None
    gateway_address: str | None = None
    source_address: str | None = None
    others: tuple[Place, ...] = ()


class FoundEndpoint(NamedTuple):
    """`ip_address_type` is `ipv4`, `dualstack` or `ipv6`; empty where the API does not say."""

    endpoint_id: str
    dns_name: str
    subnet_id: str
    vpc_id: str = ""
    state: str = ""
    ip_address_type: str = ""

    def reaches(self, address: str) -> bool:
        """Whether it has an address of the same family to connect from."""
        return self.ip_address_type not in _OTHER_FAMILY[":" in address]

    def reached_first(self, addresses: Sequence[str]) -> str:
        """The first of an instance's addresses that it reaches; the first of all where it reaches none."""
        return next((address for address in addresses if self.reaches(address)), addresses[0])


_OTHER_FAMILY: Final = {False: ("ipv6",), True: ("ipv4",)}
"""The types of endpoints that reach no IPv4 and no IPv6 address."""


def plan_tunnel(
    profile: Profile,
    options: TunnelOptions,
    meanwhile: Callable[[], None] = lambda: None,
    cache: AnswerCache | None = None,
    expected: Callable[[TunnelPlan], None] = lambda _: None,
) -> TunnelPlan:
    """Ask the control plane for what the options leave open, and for nothing else.

    Args:
        meanwhile: is called when the questions are under way.
        expected: is called before, with what was found the last time and may well be found again.
        cache: of this question. What it holds is not asked again, and what is found it holds afterwards.

    Raises:
        InvalidOption: the options do not go together, or one cannot be right.
        NotFound: there is no such instance, or no usable endpoint.
        ApiError, NotConfigured: the control plane cannot be asked.
    """
    check_options(options)
    address = options.private_ip_address
    endpoint_id = options.instance_connect_endpoint_id
    dns_name = options.instance_connect_endpoint_dns_name
    if cache is not None and (known := cache.recall()) is not None:
        meanwhile()
        return _plan(profile, options, known)
    if cache is not None and cache.outdated is not None:
        with suppress(InvalidOption):
            expected(_plan(profile, options, cache.outdated))
    ec2 = None
    if address is None or dns_name is None:
        ec2 = profile.api_client
        ec2.prefetch(*_independent_questions(options))
        meanwhile()
    target = None
    places: list[Place] = []
    if options.host is not None:
        target = find_host(ec2, options.host)
    elif address is None and options.instance_id is not None:
        target = find_instance(ec2, options.instance_id)
    if target is not None:
        address = target.addresses[0]
    if dns_name is None:
        if endpoint_id is not None:
            endpoints = [find_endpoint_by_id(ec2, endpoint_id)]
        else:
            assert target is not None
            endpoints = find_endpoints_for(ec2, target)
        for endpoint in endpoints:
            to = address if target is None else endpoint.reached_first(target.addresses)
            assert to is not None
            places.append(Place(endpoint.endpoint_id, endpoint.dns_name, to))
    else:
        assert endpoint_id is not None
        assert address is not None
        places += [Place(endpoint_id, dns_name, address), *options.others]
    port, good_for = options.gateway_port, 0.0
    if port is None:
        port, good_for = _discover(profile)
    found = Found(tuple(places[:MOST_TRIED]), port, None if target is None else target.instance_id)
    plan = _plan(profile, options, found)
    if cache is not None:
        cache.keep(found, good_for)
    return plan


def check_options(options: TunnelOptions) -> None:
    """What can be told of the options alone.

    Raises:
        InvalidOption: they do not go together, or one cannot be right.
    """
    address, endpoint_id = options.private_ip_address, options.instance_connect_endpoint_id
    if options.host is not None and (address, options.instance_id) != (None, None):
        raise InvalidOption("name a host, or give --instance-id or --private-ip-address, but not both")
    if (address, options.instance_id, options.host) == (None, None, None):
        raise InvalidOption(
            "name a host (its name, its address or its instance id), or give --instance-id or"
            " --private-ip-address"
        )
    if endpoint_id is None and (
        address is not None or options.instance_connect_endpoint_dns_name is not None
    ):
        raise InvalidOption("--private-ip-address and a DNS name need --instance-connect-endpoint-id too")
    for _ in _independent_questions(options):
        # Each is looked at before it is put.
        pass


def _plan(profile: Profile, options: TunnelOptions, found: Found) -> TunnelPlan:
    places: Sequence[Place] = found.places
    if len(places) > 1:
        refusals = Refusals(profile.region, profile.credentials().access_key_id)
        places = sorted(places, key=lambda place: place.endpoint_id in refusals)
    first, *others = (_plan_by(profile, options, found, place) for place in places)
    return first._replace(others=tuple(others))


def _plan_by(profile: Profile, options: TunnelOptions, found: Found, place: Place) -> TunnelPlan:
    request = TunnelRequest(
        endpoint_id=place.endpoint_id,
        dns_name=place.dns_name,
        private_ip_address=place.address,
        remote_port=options.remote_port,
        max_tunnel_duration=options.max_tunnel_duration,
    ).checked()
    route = Route(
        dns_name=place.dns_name,
        port=found.port,
        address=options.gateway_address,
        source_address=options.source_address,
        ca_bundle=profile.ca_bundle,
    ).checked()
    if route.source_address is not None and proxy_for(route.address or route.dns_name, route.port):
        raise InvalidOption(
            "--source-address is for a connection of this machine's own, and the environment names a proxy:"
            " leave the option out, or have NO_PROXY name the gateway"
        )
    return TunnelPlan(request, route, profile.region, profile.credentials, found.instance_id)


def _independent_questions(options: TunnelOptions) -> Iterator[Question]:
    """All that will be asked of the API and needs no other answer.

    Raises:
        InvalidOption: what is named can be none.
    """
    if options.host is not None:
        check_host(options.host)
        yield host_question(options.host)
    elif options.private_ip_address is None and options.instance_id is not None:
        check_instance_id(options.instance_id)
        yield host_question(options.instance_id)
    endpoint_id = options.instance_connect_endpoint_id
    if options.instance_connect_endpoint_dns_name is None:
        if endpoint_id is None:
            yield _ENDPOINTS, _FIRST_PAGE
        else:
            check_endpoint_id(endpoint_id)
            if is_whole(endpoint_id):
                yield _ENDPOINTS, _by_id(endpoint_id)
    if options.gateway_port is None:
        yield _DISCOVERY_PATH, {}


def check_endpoint_id(endpoint_id: str) -> None:
    """
    Raises:
        InvalidOption: it is none.
    """
    if not ENDPOINT_ID.fullmatch(endpoint_id):
        raise InvalidOption(f"{endpoint_id!r} is not an endpoint id, which looks like eice-0123456789abcdef0")


def find_endpoint_by_id(ec2: Any, endpoint_id: str) -> FoundEndpoint:
    """The endpoint of this id; or of an id that begins so, if it is the only one.

    Raises:
        InvalidOption: it is no endpoint id.
        NotFound: there is no such endpoint, it opens no tunnels, or there are several.
        ApiError: the call was refused or not answered.
    """
    check_endpoint_id(endpoint_id)
    if not is_whole(endpoint_id):
        beginning = {"Name": "instance-connect-endpoint-id", "Values": [f"{endpoint_id}*"]}
        found = _endpoints(ec2, Filters=[_STATE_FILTER, beginning])
        only = only_one(endpoint_id, [each.endpoint_id for each in found])
        return next(each for each in found if each.endpoint_id == only)
    found = _endpoints(ec2, **_by_id(endpoint_id))
    if not found:
        raise NotFound(f"there is no endpoint {endpoint_id} that opens tunnels")
    return found[0]


def find_endpoints_for(ec2: Any, target: Host) -> list[FoundEndpoint]:
    """The endpoints in the target's VPC that reach it, in the order of `choose_endpoints`; one at least.

    Raises:
        NotFound: the VPC has no endpoint that opens tunnels, or none that reaches the target.
        ApiError: the call was refused or not answered.
    """
    # Of any VPC, since this is asked before it is known which; mostly they are few.
    with api_errors(_ENDPOINTS):
        page = ec2.describe_instance_connect_endpoints(**_FIRST_PAGE)
        found = [one for one in _read(page) if one.vpc_id == target.vpc_id]
    if page.get("NextToken"):
        in_vpc = {"Name": "vpc-id", "Values": [target.vpc_id]}
        found = _endpoints(ec2, Filters=[_STATE_FILTER, in_vpc])
    vpc_id = printable(target.vpc_id, 100)
    if not found:
        raise NotFound(f"{vpc_id}, where {target} is, has no endpoint that opens tunnels")
    chosen = choose_endpoints(found, target)
    if not chosen:
        kinds = "ipv6 or dualstack" if ":" in target.addresses[0] else "ipv4 or dualstack"
        raise NotFound(
            f"no endpoint of {vpc_id} reaches {target} at {' or '.join(target.addresses)}:"
            f" make one that is {kinds}"
        )
    return chosen


def find_endpoints(ec2: Any) -> list[FoundEndpoint]:
    """All that open tunnels.

    Raises:
        ApiError: the call was refused or not answered.
    """
    return _endpoints(ec2, Filters=[_STATE_FILTER])


def choose_endpoints(in_vpc: Sequence[FoundEndpoint], target: Host) -> list[FoundEndpoint]:
    """Of the endpoints of the target's VPC those that have an address of the same family as one of the
    target's, in the order in which they are to be tried.

    First come those in the target's subnet, then those that are not being changed and whose last change did
    not fail, then those that are listed first.
    """
    reaching = [one for one in in_vpc if any(map(one.reaches, target.addresses))]
    return sorted(reaching, key=lambda one: (one.subnet_id != target.subnet_id, one.state in _UNSETTLED))


_STATE_FILTER: Final = {"Name": "state", "Values": list(USABLE_STATES)}


_FIRST_PAGE: Final[Mapping[str, Any]] = {"Filters": [_STATE_FILTER], "MaxResults": 50}
_ENDPOINTS: Final = "DescribeInstanceConnectEndpoints"


def _by_id(endpoint_id: str) -> dict[str, Any]:
    return {"InstanceConnectEndpointIds": [endpoint_id], "Filters": [_STATE_FILTER]}


def _endpoints(ec2: Any, **parameters: Any) -> list[FoundEndpoint]:
    with api_errors(_ENDPOINTS):
        pages = ec2.get_paginator("describe_instance_connect_endpoints").paginate(**parameters)
        return [found for page in pages for found in _read(page)]


def _read(page: Mapping[str, Any]) -> Iterator[FoundEndpoint]:
    """
    Raises:
        ValueError: an id, a name or a text is none. They become words of commands.
    """
    for found in page["InstanceConnectEndpoints"]:
        yield FoundEndpoint(
            in_form(ENDPOINT_ID, found["InstanceConnectEndpointId"]),
            in_form(_DNS_NAME, found["DnsName"]),
            as_text(found.get("SubnetId", "")),
            as_text(found.get("VpcId", "")),
            as_text(found.get("State", "")),
            as_text(found.get("IpAddressType", "")),
        )


def push_key(profile: Profile, instance_id: str, os_user: str, public_key: str) -> None:
    """Make `public_key` good for `os_user` on the instance for the next 60 seconds.

    Raises:
        ApiError, NotConfigured: the call was refused or not answered.
    """
    with api_errors("SendSSHPublicKey"):
        profile.api_client.send_ssh_public_key(
            InstanceId=instance_id, InstanceOSUser=os_user, SSHPublicKey=public_key
        )


def check_os_user(os_user: str) -> None:
    """
    Raises:
        InvalidOption: AWS takes no such OS user.
    """
    if not is_os_user(os_user):
        raise InvalidOption(f"{os_user!r} is not the name of an OS user")


def gateway_port(profile: Profile) -> int:
    """The port of the gateways: what the control plane's discovery document says, 443 where there is none.

    The document is JSON, `{"gateway_port": 8444, "remember_seconds": 60}`, at `/.well-known/hatchway` of the
    endpoint URL, and needs no credentials. The second member says for how long a client may remember where
    hosts, endpoints and gateways are; without it, for no time.

    Raises:
        ApiError: the control plane cannot be reached, or what it says is no port.
    """
    return _discover(profile)[0]


def _discover(profile: Profile) -> tuple[int, float]:
    url = profile.endpoint_url("ec2").rstrip("/") + _DISCOVERY_PATH
    answer = profile.api_client.discover(_DISCOVERY_PATH)
    if answer.status >= _SERVER_ERRORS:
        said = f"the server answers {answer.status}, and not where its gateways are: try again in a moment"
        raise ApiError(f"GET {printable(url)}", "", said)
    body = answer.body[:_DISCOVERY_LIMIT] if answer.status == 200 else None
    if body is None:
        return HTTPS_PORT, 0
    try:
        document: Mapping[str, object] = json.loads(body)
        port = document["gateway_port"]
    except (ValueError, RecursionError, KeyError, TypeError):
        port = None
    if type(port) is not int or not 1 <= port <= 65535:
        raise ApiError(f"GET {printable(url)}", "", "the document names no gateway_port: give --gateway-port")
    seconds = document.get("remember_seconds")
    return port, seconds if type(seconds) is int else 0
