"""Instances have one address, or one of each family; a VPC's default group is AWS's."""

import pytest

from hatchway.domain.network import Instance, Rule, default_group, derived_rule


@pytest.mark.parametrize(
    ("private_ip", "ipv6", "addresses"),
    [
        ("10.0.1.1", None, ("10.0.1.1",)),
        (None, "2001:db8::1", ("2001:db8::1",)),
        ("10.0.1.1", "2001:db8::1", ("10.0.1.1", "2001:db8::1")),
    ],
)
def test_an_instances_addresses_are_those_that_it_has(
    private_ip: str | None, ipv6: str | None, addresses: tuple[str, ...]
) -> None:
    instance = Instance(
        id="i-1",
        name="web",
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        private_ip=private_ip,
        ipv6=ipv6,
        security_group_ids=(),
    )

    assert instance.addresses == addresses


def test_the_default_group_lets_its_own_members_in_and_everything_out() -> None:
    group = default_group("sg-1", "vpc-1")

    assert (group.id, group.vpc_id, group.name) == ("sg-1", "vpc-1", "default")
    assert group.ingress == (Rule("-1", 0, 65535, "sg-1"),)
    assert group.egress == (Rule("-1", 0, 65535, "0.0.0.0/0"), Rule("-1", 0, 65535, "::/0"))


def test_a_rule_s_id_follows_from_what_it_says_and_of_which_group() -> None:
    rule = Rule("tcp", 22, 22, "10.0.0.0/8")
    row = derived_rule("123456789012", "sg-1", rule, egress=False)
    assert (row.rule, row.group_id, row.egress, row.id[:4]) == (rule, "sg-1", False, "sgr-")
    others = [
        derived_rule("123456789012", "sg-1", rule, egress=True),
        derived_rule("123456789012", "sg-2", rule, egress=False),
        derived_rule("210987654321", "sg-1", rule, egress=False),
        derived_rule("123456789012", "sg-1", Rule("tcp", 22, 23, "10.0.0.0/8"), egress=False),
    ]
    assert len({row.id, *(other.id for other in others)}) == 5
