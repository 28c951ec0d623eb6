"""Instances have one address, or one of each family; a VPC's default group is AWS's."""

import pytest

from hatchway.domain.network import Instance, Rule, default_group


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
