"""An endpoint, its interface and its address."""

import ipaddress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.domain.endpoint import EndpointState, IpAddressType, ProxyProtocol
from hatchway.domain.endpoint_creation import (
    CannotCreateEndpoint,
    EndpointOrder,
    NoFreeAddress,
    free_address,
    modified_endpoint,
    new_endpoint,
)
from hatchway.domain.network import Subnet

NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)


def subnet(*cidrs: str) -> Subnet:
    return Subnet(id="subnet-1", vpc_id="vpc-1", name="web", cidrs=cidrs, availability_zone="us-east-1a")


def order(*cidrs: str) -> EndpointOrder:
    return EndpointOrder(
        account="123456789012",
        endpoint_id="eice-1",
        subnet=subnet(*cidrs),
        security_group_ids=("sg-1",),
        dns_name="gateway.example.com",
    )


@pytest.mark.parametrize(
    ("cidr", "highest"),
    [
        ("10.0.1.0/24", "10.0.1.254"),
        ("10.0.1.0/28", "10.0.1.14"),
        ("10.0.1.0/30", "10.0.1.2"),
        ("10.0.1.0/31", "10.0.1.1"),
        ("10.0.1.7/32", "10.0.1.7"),
        ("fd00::/64", "fd00::ffff:ffff:ffff:fffe"),
    ],
)
def test_the_highest_address_that_aws_does_not_reserve_is_given_first(cidr: str, highest: str) -> None:
    assert free_address([cidr], (), ipaddress.ip_network(cidr).version) == highest


@given(st.sets(st.integers(0, 63)))
def test_an_address_is_free_unreserved_and_within_or_there_is_none(taken: set[int]) -> None:
    network = ipaddress.ip_network("10.0.1.0/26")
    used = {str(network[offset]) for offset in taken}
    candidates = [str(network[offset]) for offset in range(4, 63) if offset not in taken]
    if candidates:
        assert free_address(["fd00::/64", str(network)], used, 4) == candidates[-1]
    else:
        with pytest.raises(NoFreeAddress):
            free_address([str(network)], used, 4)


def test_a_full_range_gives_way_to_the_next() -> None:
    assert free_address(["10.0.1.0/32", "10.0.2.0/32"], {"10.0.1.0"}, 4) == "10.0.2.0"
    with pytest.raises(NoFreeAddress, match="IPv4"):
        free_address(["10.0.1.0/32"], {"10.0.1.0"}, 4)


@pytest.mark.parametrize(
    ("cidrs", "kind", "private_ip", "ipv6"),
    [
        (("10.0.1.0/24",), IpAddressType.IPV4, "10.0.1.254", None),
        (("fd00::/120",), IpAddressType.IPV6, None, "fd00::fe"),
        (("10.0.1.0/24", "fd00::/120"), IpAddressType.DUALSTACK, "10.0.1.254", "fd00::fe"),
    ],
)
def test_an_endpoint_follows_its_subnet(
    cidrs: tuple[str, ...], kind: IpAddressType, private_ip: str | None, ipv6: str | None
) -> None:
    endpoint, interface = new_endpoint(order(*cidrs), taken=(), now=NOW)
    assert endpoint.ip_address_type is kind
    assert (interface.private_ip, interface.ipv6) == (private_ip, ipv6)
    assert endpoint.state is EndpointState.CREATE_COMPLETE
    assert endpoint.network_interface_ids == (interface.id,)
    assert (endpoint.availability_zone, endpoint.vpc_id) == ("us-east-1a", "vpc-1")
    assert interface.tags == {"InstanceConnectEndpointId": "eice-1"}


@pytest.mark.parametrize("kind", [IpAddressType.DUALSTACK, IpAddressType.IPV6])
def test_an_endpoint_cannot_have_a_family_that_its_subnet_lacks(kind: IpAddressType) -> None:
    with pytest.raises(CannotCreateEndpoint, match=f"cannot be {kind}: subnet subnet-1 has no IPv6 range"):
        new_endpoint(replace(order("10.0.1.0/24"), ip_address_type=kind), taken=(), now=NOW)


def test_the_clients_address_is_kept_by_ipv4_endpoints_alone() -> None:
    dual = replace(order("10.0.1.0/24", "fd00::/64"), preserve_client_ip=True)
    with pytest.raises(CannotCreateEndpoint, match="only when it is ipv4"):
        new_endpoint(dual, taken=(), now=NOW)
    endpoint, interface = new_endpoint(replace(dual, ip_address_type=IpAddressType.IPV4), taken=(), now=NOW)
    assert endpoint.preserve_client_ip
    assert interface.ipv6 is None


def test_the_clients_address_is_kept_or_told_but_not_both() -> None:
    told = replace(order("10.0.1.0/24"), proxy_protocol=ProxyProtocol.V2)
    both = replace(told, preserve_client_ip=True)
    made = new_endpoint(told, taken=(), now=NOW)
    assert made[0].proxy_protocol is ProxyProtocol.V2
    with pytest.raises(CannotCreateEndpoint, match="cannot both"):
        new_endpoint(both, taken=(), now=NOW)
    with pytest.raises(CannotCreateEndpoint, match="cannot both"):
        modified_endpoint(*made, both, taken=())
    silent, _ = modified_endpoint(*made, order("10.0.1.0/24"), taken=())
    assert silent.proxy_protocol is None


def test_modifying_to_what_it_is_changes_nothing() -> None:
    asked = order("10.0.1.0/24")
    made = new_endpoint(asked, taken=(), now=NOW)
    assert modified_endpoint(*made, asked, taken={"10.0.1.253"}) == made


def test_modifying_keeps_the_address_unless_it_is_taken_or_out_of_range() -> None:
    asked = order("10.0.1.0/24")
    endpoint, interface = new_endpoint(asked, taken=(), now=NOW)
    groups = replace(asked, security_group_ids=("sg-2",))
    changed, kept = modified_endpoint(endpoint, interface, groups, taken=())
    assert changed.state is EndpointState.UPDATE_COMPLETE
    assert (kept.private_ip, kept.security_group_ids) == (interface.private_ip, ("sg-2",))
    _, moved = modified_endpoint(endpoint, interface, asked, taken={"10.0.1.254"})
    assert moved.private_ip == "10.0.1.253"
    _, shrunk = modified_endpoint(endpoint, interface, order("10.0.1.0/25"), taken=())
    assert shrunk.private_ip == "10.0.1.126"
