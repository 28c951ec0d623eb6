"""Security groups let through what some rule allows and nothing else; some addresses are never targets."""

from ipaddress import ip_network

import pytest

from hatchway.domain.network import Rule, SecurityGroup, default_group
from hatchway.domain.reach import (
    Peer,
    address_problem,
    allows_egress,
    allows_ingress,
    embedded_ipv4,
    is_range,
    parse_address,
    special_block,
    within,
)


def group(*, ingress: tuple[Rule, ...] = (), egress: tuple[Rule, ...] = ()) -> SecurityGroup:
    return SecurityGroup(id="sg-a", vpc_id="vpc-1", name="a", description="a", ingress=ingress, egress=egress)


def peer(address: str, *groups: str) -> Peer:
    return Peer(parse_address(address), frozenset(groups))


@pytest.mark.parametrize(
    ("rule", "address", "groups", "port", "allowed"),
    [
        (Rule("tcp", 22, 22, "10.0.0.0/16"), "10.0.1.1", (), 22, True),
        (Rule("tcp", 22, 22, "10.0.0.0/16"), "10.0.1.1", (), 23, False),
        (Rule("tcp", 22, 22, "10.0.0.0/16"), "10.1.0.1", (), 22, False),
        (Rule("tcp", 8000, 8010, "10.0.0.0/16"), "10.0.1.1", (), 8010, True),
        (Rule("tcp", 8000, 8010, "10.0.0.0/16"), "10.0.1.1", (), 8011, False),
        (Rule("udp", 22, 22, "10.0.0.0/16"), "10.0.1.1", (), 22, False),
        (Rule("-1", 0, 65535, "0.0.0.0/0"), "203.0.113.9", (), 65535, True),
        (Rule("-1", 0, 65535, "0.0.0.0/0"), "2001:db8::1", (), 22, False),
        (Rule("tcp", 22, 22, "2001:db8::/64"), "2001:db8::1", (), 22, True),
        (Rule("tcp", 22, 22, "sg-b"), "10.0.1.1", ("sg-b",), 22, True),
        (Rule("tcp", 22, 22, "sg-b"), "10.0.1.1", ("sg-c",), 22, False),
        (Rule("tcp", 22, 22, "10.0.1.7/16"), "10.0.200.1", (), 22, True),
    ],
)
def test_a_rule_allows_its_protocol_ports_and_peers(
    rule: Rule, address: str, groups: tuple[str, ...], port: int, allowed: bool
) -> None:
    other = peer(address, *groups)
    assert allows_egress([group(egress=(rule,))], other, port) is allowed
    assert allows_ingress([group(ingress=(rule,))], [other], port) is allowed


def test_without_rules_nothing_passes() -> None:
    assert not allows_egress([group()], peer("10.0.1.1"), 22)
    assert not allows_ingress([group()], [peer("10.0.1.1")], 22)
    assert not allows_ingress([], [peer("10.0.1.1")], 22)


def test_one_group_of_several_is_enough() -> None:
    open_group = group(ingress=(Rule("tcp", 22, 22, "10.0.0.0/8"),))
    assert allows_ingress([group(), open_group], [peer("10.0.1.1")], 22)


def test_any_one_of_the_sources_is_enough() -> None:
    by_group = group(ingress=(Rule("tcp", 22, 22, "sg-endpoint"),))
    assert allows_ingress([by_group], [peer("192.0.2.1"), peer("10.0.1.9", "sg-endpoint")], 22)


def test_the_default_group_admits_its_members_and_lets_everything_leave() -> None:
    default = default_group("sg-d", "vpc-1")
    assert allows_egress([default], peer("198.51.100.1"), 443)
    assert allows_egress([default], peer("2001:db8::5"), 443)
    assert allows_ingress([default], [peer("10.0.1.1", "sg-d")], 22)
    assert not allows_ingress([default], [peer("10.0.1.1")], 22)


@pytest.mark.parametrize(
    ("address", "cidrs", "problem"),
    [
        ("10.0.1.1", ["10.0.0.0/16"], None),
        ("10.1.0.1", ["10.0.0.0/16"], "not in the endpoint's VPC"),
        ("10.1.0.1", ["10.0.0.0/16", "10.1.0.0/16"], None),
        ("127.0.0.1", ["0.0.0.0/0"], "never a target"),
        ("127.0.0.1", ["127.0.0.0/8"], None),
        ("127.0.9.1", ["127.0.8.0/22"], None),
        ("169.254.169.254", ["0.0.0.0/0"], "never a target"),
        ("169.254.169.254", ["169.254.0.0/16"], None),
        ("224.0.0.1", ["0.0.0.0/0"], "never a target"),
        ("0.0.0.0", ["0.0.0.0/0"], "never a target"),
        ("::1", ["::/0"], "never a target"),
        ("fe80::1", ["::/0"], "never a target"),
        ("ff02::1", ["::/0"], "never a target"),
        ("2001:db8::1", ["2001:db8::/32"], None),
        ("2001:db8::1", ["0.0.0.0/0"], "not in the endpoint's VPC"),
    ],
)
def test_a_target_lies_in_the_vpc_and_outside_the_reserved_ranges(
    address: str, cidrs: list[str], problem: str | None
) -> None:
    found = address_problem(parse_address(address), cidrs)
    assert found is None if problem is None else problem in (found or "")


def test_an_ipv4_mapped_address_is_its_ipv4() -> None:
    assert parse_address("::ffff:10.0.1.1") == parse_address("10.0.1.1")
    assert within(parse_address("::ffff:10.0.1.1"), ["10.0.0.0/16"])


@pytest.mark.parametrize(
    "text", ["", "10.0.1", "10.0.1.1/32", "fe80::1%eth0", "host", "010.0.0.1", "1.2.3.4 "]
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_address(text)


@pytest.mark.parametrize(
    ("address", "inner"),
    [
        ("64:ff9b::10.0.1.1", "10.0.1.1"),
        ("64:ff9b:1::10.0.1.1", "10.0.1.1"),
        ("2002:a00:101::1", "10.0.1.1"),
        ("::ffff:0:10.0.1.1", "10.0.1.1"),
        ("::10.0.1.1", "10.0.1.1"),
        ("2001:db8::a00:101", None),
        ("10.0.1.1", None),
    ],
)
def test_an_ipv6_address_that_stands_for_an_ipv4_one_says_which(address: str, inner: str | None) -> None:
    found = embedded_ipv4(parse_address(address))

    assert found == (None if inner is None else parse_address(inner))


@pytest.mark.parametrize("address", ["64:ff9b::127.0.0.1", "2002:7f00:1::", "::ffff:0:169.254.169.254"])
def test_what_stands_for_an_address_that_is_never_a_target_is_none(address: str) -> None:
    problem = address_problem(parse_address(address), ["::/0"])

    assert problem is not None
    assert "stands for" in problem


def test_what_stands_for_any_other_address_may_be_a_target() -> None:
    assert address_problem(parse_address("64:ff9b::10.0.1.1"), ["64:ff9b::/96"]) is None


@pytest.mark.parametrize(
    ("text", "range_"),
    [("10.0.1.0/24", True), ("10.0.1.1", True), ("2001:db8::/32", True), ("web", False), ("10.0.1", False)],
)
def test_a_range_is_told_from_a_hosts_name(text: str, range_: bool) -> None:
    assert is_range(text) is range_


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("127.0.0.0/16", "127.0.0.0/8"),
        ("168.0.0.0/6", "169.254.0.0/16"),
        ("64:ff9b::/48", "64:ff9b::/96"),
        ("2002:a00::/44", "2002::/16"),
        ("fe80::/56", "fe80::/10"),
        ("10.0.0.0/16", None),
        ("fd00::/56", None),
    ],
)
def test_a_range_is_told_to_overlap_what_is_never_a_target(text: str, block: str | None) -> None:
    found = special_block(ip_network(text))
    assert (found and str(found)) == block
