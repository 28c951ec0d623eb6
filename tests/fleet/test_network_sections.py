"""How a file describes the network."""

import pytest
from tests.fleet.accounts import fleet
from tests.fleet.cases import Case, check_refused, refused

from hatchway.fleet.problems import BadFleet
from hatchway.pki.name_constraints import is_dns_name


@pytest.mark.parametrize("case", refused("network_sections"))
def test_a_network_that_is_badly_described_is_refused_with_every_problem(case: Case) -> None:
    check_refused(case)


def test_a_rule_for_everything_has_no_ports_or_all_of_them() -> None:
    rules = "[{protocol: all, source: '::/0'}, {protocol: -1, ports: all, source: a}, {ports: 22, source: a}]"
    (vpc,) = fleet(f"vpcs: {{o: {{cidr: 10.0.0.0/16, security_groups: {{a: {{ingress: {rules}}}}}}}}}").vpcs
    (group,) = vpc.security_groups
    assert [(rule.protocol, rule.ports, rule.peer.is_range) for rule in group.ingress or ()] == [
        ("-1", (0, 65535), True),
        ("-1", (0, 65535), False),
        ("tcp", (22, 22), False),
    ]
    assert group.egress is None


def test_security_groups_that_are_no_list_are_refused_once() -> None:
    with pytest.raises(BadFleet) as refusal:
        fleet("endpoints: {e: {subnet: o/w, security_groups: 7}}")
    assert str(refusal.value) == "endpoints.e.security_groups: 7 is not a list"


def test_a_name_of_gateways_is_in_lower_case() -> None:
    (vpc,) = fleet("vpcs: {o: {cidr: 10.0.0.0/16, gateway_dns_name: Gateway.Example}}").vpcs
    assert vpc.gateway_dns_name == "gateway.example"


def test_a_name_of_gateways_may_begin_with_the_endpoints_id() -> None:
    (vpc,) = fleet('vpcs: {o: {cidr: 10.0.0.0/16, gateway_dns_name: "{endpoint_id}.gw.example"}}').vpcs
    assert vpc.gateway_dns_name == "{endpoint_id}.gw.example"
    for wrong in ("{endpoint_id}", "gw.{endpoint_id}.example", "x{endpoint_id}.example", "{subnet}.example"):
        with pytest.raises(BadFleet, match="is not a DNS name such as"):
            fleet(f'vpcs: {{o: {{cidr: 10.0.0.0/16, gateway_dns_name: "{wrong}"}}}}')


@pytest.mark.parametrize("wrong", ["10.0.0.1", "0x7f.1", "1", "-gw.example", "gw-.example", "g.example."])
def test_a_name_of_gateways_is_one_that_a_certificate_can_have_and_no_address(wrong: str) -> None:
    assert not is_dns_name(wrong)
    with pytest.raises(BadFleet, match="is not a DNS name such as"):
        fleet(f'gateway_dns_name: "{wrong}"')


def test_a_subnet_and_an_endpoint_may_have_gateways_of_their_own_name() -> None:
    found = fleet(
        "vpcs: {o: {cidr: 10.0.0.0/16, subnets: {w: {cidr: 10.0.1.0/24, gateway_dns_name: Web.Example}}}}\n"
        "endpoints: {e: {subnet: o/w, gateway_dns_name: E.Example}, f: {subnet: o/w}}"
    )
    (vpc,) = found.vpcs
    assert [subnet.gateway_dns_name for subnet in vpc.subnets] == ["web.example"]
    assert [endpoint.gateway_dns_name for endpoint in found.endpoints] == ["e.example", None]


def test_attributes_are_settings_that_ec2_knows() -> None:
    (vpc,) = fleet("vpcs: {o: {cidr: 10.0.0.0/16, attributes: {EnableDnsHostnames: true}}}").vpcs
    assert vpc.attributes == {"EnableDnsHostnames": True}
    with pytest.raises(BadFleet) as refusal:
        fleet("vpcs: {o: {cidr: 10.0.0.0/16, attributes: {EnableDnsSupport: 7, MapPublicIpOnLaunch: true}}}")
    assert str(refusal.value).splitlines() == [
        "vpcs.o.attributes.EnableDnsSupport: 7 is neither true nor false",
        "vpcs.o.attributes.MapPublicIpOnLaunch: is not known here",
    ]
