"""What is an address or a range, and some addresses are never targets."""

from ipaddress import ip_network

import pytest

from hatchway.domain.addresses import (
    address_problem,
    embedded_ipv4,
    is_range,
    parse_address,
    special_block,
    within,
)


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
