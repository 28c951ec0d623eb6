"""Security groups let through what some rule allows and nothing else."""

import pytest

from hatchway.domain.addresses import parse_address
from hatchway.domain.network import Rule, SecurityGroup, default_group
from hatchway.domain.security_groups import Peer, allows_egress, allows_ingress


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
