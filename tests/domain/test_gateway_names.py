"""By what names clients find gateways."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hatchway.domain.account import Account
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType
from hatchway.domain.gateway_names import endpoint_dns_name, gateway_names, name_problem
from hatchway.domain.network import Subnet, Vpc

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = Account(id="123456789012", region="us-east-1", gateway_dns_name="gw.example", created_at=NOW)
OFFICE = Vpc(id="vpc-1", name="office", cidrs=("10.0.0.0/16",))
CAGE = Vpc(id="vpc-2", name="cage", cidrs=("10.0.0.0/16",), gateway_dns_name="{endpoint_id}.cage.example")
WEB = Subnet(id="subnet-1", vpc_id="vpc-1", name="web", cidrs=("10.0.1.0/24",), availability_zone="a")
FAR = replace(WEB, id="subnet-2", name="far", gateway_dns_name="far.example")


def endpoint(name: str, subnet: Subnet, own: str | None = None) -> Endpoint:
    return Endpoint(
        id=f"eice-{name}",
        name=name,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        availability_zone="a",
        dns_name="",
        state=EndpointState.CREATE_COMPLETE,
        state_message="",
        created_at=NOW,
        deleted_at=None,
        security_group_ids=(),
        network_interface_ids=(),
        preserve_client_ip=False,
        ip_address_type=IpAddressType.IPV4,
        max_tunnels=None,
        gateway_dns_name=own,
    )


ENDPOINTS = (
    endpoint("near", WEB),
    endpoint("far", FAR),
    endpoint("own", FAR, "own.example"),
    endpoint("caged", replace(WEB, id="subnet-3", vpc_id="vpc-2")),
)


def test_an_endpoints_name_is_its_own_or_else_its_subnets_its_vpcs_or_the_accounts() -> None:
    named = replace(OFFICE, gateway_dns_name="office.example")
    assert endpoint_dns_name("eice-1", ACCOUNT, named, FAR, "own.example") == "own.example"
    assert endpoint_dns_name("eice-1", ACCOUNT, named, FAR) == "far.example"
    assert endpoint_dns_name("eice-1", ACCOUNT, named, WEB) == "office.example"
    assert endpoint_dns_name("eice-1", ACCOUNT, OFFICE, WEB) == "gw.example"
    assert endpoint_dns_name("eice-1", ACCOUNT, None, None) == "gw.example"


def test_in_a_pattern_the_endpoints_id_takes_the_place_of_its_label() -> None:
    assert endpoint_dns_name("eice-1", ACCOUNT, CAGE, None) == "eice-1.cage.example"


@pytest.mark.parametrize(
    ("endpoint_id", "name", "problem"),
    [
        ("eice-1", "eice-1.cage.example", None),
        (f"eice-{'1' * 58}", f"eice-{'1' * 58}.cage.example", None),
        (f"eice-{'1' * 59}", f"eice-{'1' * 59}.cage.example", "at most 63 characters"),
        ("eice-a_b", "eice-a_b.cage.example", "letters, digits and dashes"),
        (f"eice-{'1' * 59}", "cage.example", None),
        ("eice-1", f"eice-1.{'a.' * 120}exampl", None),
        ("eice-1", f"eice-1.{'a.' * 120}example", "at most 253 characters"),
    ],
)
def test_an_endpoint_is_called_nothing_that_is_no_name(
    endpoint_id: str, name: str, problem: str | None
) -> None:
    found = name_problem(endpoint_id, name)
    assert (found is None) is (problem is None)
    assert problem is None or problem in str(found)


@pytest.mark.parametrize(
    ("bound", "names"),
    [
        ({}, {"gw.example", "{endpoint_id}.cage.example", "far.example", "own.example"}),
        ({"of_vpcs": ("office",)}, {"gw.example", "far.example", "own.example"}),
        ({"of_vpcs": ("vpc-2",)}, {"{endpoint_id}.cage.example"}),
        ({"of_endpoints": ("near",)}, {"gw.example"}),
        ({"of_endpoints": ("eice-far",)}, {"far.example"}),
        ({"of_endpoints": ("own", "caged")}, {"own.example", "{endpoint_id}.cage.example"}),
        ({"of_vpcs": ("cage",), "of_endpoints": ("far",)}, {"{endpoint_id}.cage.example", "far.example"}),
        ({"of_vpcs": ("nothing",), "of_endpoints": ("nothing",)}, set()),
    ],
)
def test_gateways_have_the_names_of_what_they_are_bound_to(bound: dict[str, Any], names: set[str]) -> None:
    found = gateway_names(ACCOUNT, (OFFICE, CAGE), (FAR,), ENDPOINTS, **bound)
    assert set(found) == names
    assert len(found) == len(names)


def test_the_widest_names_come_first_and_those_of_the_latest_endpoints_last() -> None:
    later = replace(endpoint("aaa", WEB, "aaa.example"), created_at=NOW + timedelta(days=1))
    names = gateway_names(ACCOUNT, (OFFICE, CAGE), (FAR,), (later, *ENDPOINTS))
    assert names == ["gw.example", "{endpoint_id}.cage.example", "far.example", "own.example", "aaa.example"]


def test_gateways_of_an_account_without_networks_have_its_name() -> None:
    assert gateway_names(ACCOUNT, (), (), ()) == ["gw.example"]
