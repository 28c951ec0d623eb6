"""Single values of a file: what each reader takes, and what it says of what it does not."""

import re
from enum import StrEnum
from typing import Any

import pytest
from tests.fleet.cases import Case, check_refused, refused

from hatchway.fleet import values
from hatchway.fleet.fields import Reader
from hatchway.fleet.policy_documents import Reading


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@pytest.mark.parametrize("case", refused("values"))
def test_values_that_are_wrong_are_refused_with_their_places(case: Case) -> None:
    check_refused(case)


letters = values.text(re.compile("[a-z0-9]+"), "letters")
number = values.integer(1, 10, "a number")
colour = values.choice(Colour)
line = values.one_line(5)
NO_RANGE = "is not an IPv4 or IPv6 range"
NO_CONTROLS = "which no name, tag or description may hold"
MANY_TAGS = {f"k{n}": "" for n in range(51)}


@pytest.mark.parametrize(
    ("reader", "value", "meaning"),
    [
        (letters, "abc", "abc"),
        (values.account_id, "123456789012", "123456789012"),
        (values.account_id, 123456789012, "123456789012"),
        (values.boolean, True, True),
        (values.boolean, False, False),
        (number, 1, 1),
        (number, 10, 10),
        (colour, "red", Colour.RED),
        (values.cidr, "10.0.0.0/16", "10.0.0.0/16"),
        (values.cidrs, "10.0.0.0/16", ("10.0.0.0/16",)),
        (values.cidrs, ["10.0.0.0/16", "fd00::/56"], ("10.0.0.0/16", "fd00::/56")),
        (values.ipv4_address, "10.0.1.5", "10.0.1.5"),
        (values.ipv6_address, "FD00:0::1", "fd00::1"),
        (values.ports, 22, (22, 22)),
        (values.ports, "22", (22, 22)),
        (values.ports, "8000-8010", (8000, 8010)),
        (values.ports, "all", (0, 65535)),
        (values.tags, {"Name": "web 1", "a<b": ""}, {"Name": "web 1", "a<b": ""}),
        (values.identity_tags, {"Näme": "a b_.:/=+-@"}, {"Näme": "a b_.:/=+-@"}),
        (line, "", ""),
        (line, "five!", "five!"),
    ],
)  # fmt: skip
def test_a_value_means(reader: Reader[Any], value: Any, meaning: Any) -> None:
    reading = Reading()
    assert reader(value, "p", reading) == meaning
    assert reading.found == []


@pytest.mark.parametrize(
    ("reader", "value", "problem"),
    [
        (letters, "A", "p: 'A' is not letters"),
        (letters, 7, "p: 7 is not letters: quote it"),
        (letters, -7, "p: -7 is not letters"),
        (values.account_id, True, "p: True is not an account of 12 digits"),
        (values.boolean, "yes", "p: 'yes' is neither true nor false"),
        (number, 0, "p: 0 is not a number from 1 to 10"),
        (number, 11, "p: 11 is not a number from 1 to 10"),
        (number, True, "p: True is not a number from 1 to 10"),
        (number, "1", "p: '1' is not a number from 1 to 10"),
        (colour, "rde", "p: 'rde' is not one of red, blue (did you mean 'red'?)"),
        (colour, 7, "p: 7 is not one of red, blue"),
        (values.cidr, 7, f"p: 7 {NO_RANGE}"),
        (values.cidr, "nowhere", f"p: 'nowhere' {NO_RANGE} such as 10.0.0.0/16"),
        (values.cidr, "fe80::1%eth0", "p: 'fe80::1%eth0' names a zone: a range has none"),
        (values.cidrs, [], "p: is an empty list: at least one range is needed"),
        (values.cidrs, ["10.0.0.0/16", 7], f"p[1]: 7 {NO_RANGE}"),
        (values.cidrs, 7, f"p: 7 {NO_RANGE}"),
        (values.ipv4_address, 7, "p: 7 is not an IPv4 address"),
        (values.ipv4_address, "fd00::1", "p: 'fd00::1' is not an IPv4 address"),
        (values.ipv6_address, "fe80::1%eth0", "p: 'fe80::1%eth0' is not an IPv6 address"),
        (values.ports, [], "p: [] is no port (22), range of ports (8000-8010) or 'all'"),
        (values.ports, 70000, "p: 70000: ports end at 65535"),
        (values.ports, "9-8", "p: '9-8': the first port is above the last"),
        (values.tags, MANY_TAGS, "p: has 51 tags: 50 are allowed"),
        (values.tags, {"k": "x" * 257}, "p.k: a tag's value has at most 256 characters, this one 257"),
        (values.tags, {"k": None}, "p.k: None is no text"),
        (line, "sixsix", "p: has 6 characters: 5 are allowed"),
        (line, 7, "p: 7 is not one line of text"),
        (line, "\x07", f"p: '\\x07' is not one line of text: it has the character U+0007, {NO_CONTROLS}"),
    ],
)  # fmt: skip
def test_a_value_is_refused_and_the_reason_is_told(reader: Reader[Any], value: Any, problem: str) -> None:
    reading = Reading()
    reader(value, "p", reading)
    assert [str(found) for found in reading.found] == [problem]
