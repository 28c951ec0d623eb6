"""Numbers, dates and addresses as conditions read them."""

from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address

import pytest

from hatchway.iam.readers import (
    MAX_NUMBER_CHARACTERS,
    Address,
    Network,
    Number,
    read_address,
    read_date,
    read_network,
    read_number,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("022", 22),
        ("-1", Decimal(-1)),
        ("+1.50", Decimal("1.5")),
        (".5", Decimal("0.5")),
        ("5.", Decimal(5)),
        ("2e3", Decimal(2000)),
        ("2E-3", Decimal("0.002")),
        ("9" * MAX_NUMBER_CHARACTERS, int("9" * MAX_NUMBER_CHARACTERS)),
        ("9" * (MAX_NUMBER_CHARACTERS + 1), None),
        ("", None),
        (".", None),
        ("e5", None),
        ("1e1000", None),
        ("1_0", None),
        (" 1", None),
        ("1\n", None),
        ("٢٢", None),
        ("²", None),
        ("NaN", None),
        ("Infinity", None),
        ("0x10", None),
    ],
)
def test_a_number_is_read_exactly_or_not_at_all(text: str, number: Number | None) -> None:
    found = read_number(text)
    assert found == number
    assert type(found) is type(number)


DAY = 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00Z", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-02T03:04:05Z", DAY + 3 * 3600 + 4 * 60 + 5),
        ("1969-12-31T23:59:59Z", -1),
        ("1970-01-01T02:30+02:30", 0),
        ("1970-01-01T02:30+0230", 0),
        ("1970-01-01T02:00+02", 0),
        ("1969-12-31T21:30-02:30", 0),
        ("1970-01-01T23:59:59+23:59", 59),
        ("1970-01-01T00:00:00.5Z", Decimal("0.5")),
        ("1970-01-01T00:00:00.123456789Z", Decimal("0.123456789")),
        ("2024-02-29", 19_782 * DAY),
        ("2024-02", 19_754 * DAY),
        ("2024", 19_723 * DAY),
        ("1970", 0),
        ("19700", 19700),
        ("-1.5", Decimal("-1.5")),
        ("1767225600", 1_767_225_600),
        # not in the calendar, or on the clock
        ("2026-02-29T00:00Z", None),
        ("2026-13-01T00:00Z", None),
        ("2026-00-01T00:00Z", None),
        ("0000-01-01T00:00Z", None),
        ("2026-01-01T24:00Z", None),
        ("2026-01-01T00:60Z", None),
        ("2026-01-01T00:00:60Z", None),
        ("2026-01-01T00:00+24:00", None),
        ("2026-01-01T00:00+00:60", None),
        ("2026-02-30", None),
        ("0000", None),
        # not of the form
        ("2026-01-01T00:00", None),
        ("2026-01-01T00:00.5Z", None),
        ("2026-01-01T00:00:00.0123456789Z", None),
        ("2026-01-01 00:00Z", None),
        ("2026-1-01", None),
        ("1e3", None),
        ("5.", None),
        ("", None),
        ("1" * MAX_NUMBER_CHARACTERS, int("1" * MAX_NUMBER_CHARACTERS)),
        ("1" * (MAX_NUMBER_CHARACTERS + 1), None),
    ],
)
def test_a_date_is_read_as_seconds_since_1970_or_not_at_all(text: str, seconds: Number | None) -> None:
    assert read_date(text) == seconds


LATEST = "2026-01-01T23:59:59.999999999+23:59"


def test_the_last_of_each_unit_is_read() -> None:
    assert read_date(LATEST) == read_date("2026-01-01T00:00:59.999999999Z")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.1.9", (4, int(IPv4Address("10.0.1.9")))),
        ("::1", (6, 1)),
        ("::ffff:10.0.1.9", (4, int(IPv4Address("10.0.1.9")))),
        ("0000:0000:0000:0000:0000:ffff:010.000.001.009", None),
        ("0000:0000:0000:0000:0000:ffff:100.100.100.100", (4, int(IPv4Address("100.100.100.100")))),
        ("2001:DB8::1", (6, int(IPv6Address("2001:db8::1")))),
        ("10.0.1", None),
        ("10.0.1.01", None),
        ("fe80::1%eth0", None),
        ("10.0.0.1/32", None),
        ("host", None),
        ("", None),
        ("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", (6, (1 << 128) - 1)),
        ("fffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", None),
    ],
)
def test_an_address_is_read_or_not_at_all(text: str, address: Address | None) -> None:
    assert read_address(text) == address


def net(version: int, first: str, bits: int) -> Network:
    width = 32 if version == 4 else 128
    value = int(IPv4Address(first)) if version == 4 else int(IPv6Address(first))
    return version, value, (1 << width) - (1 << width - bits)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.1.7", net(4, "10.0.1.7", 32)),
        ("10.0.1.7/24", net(4, "10.0.1.0", 24)),
        ("10.0.1.7/32", net(4, "10.0.1.7", 32)),
        ("10.0.1.7/0", net(4, "0.0.0.0", 0)),
        ("10.0.1.7/024", net(4, "10.0.1.0", 24)),
        ("2001:db8::1", net(6, "2001:db8::1", 128)),
        ("2001:db8::1/32", net(6, "2001:db8::", 32)),
        ("::1/128", net(6, "::1", 128)),
        ("::ffff:10.0.1.7/120", net(4, "10.0.1.0", 24)),
        ("::ffff:10.0.1.7/96", net(4, "0.0.0.0", 0)),
        ("::ffff:10.0.1.7/95", net(6, "::fffe:0:0", 95)),
        ("::ffff:10.0.1.7/0", net(6, "::", 0)),
        ("10.0.1.7/33", None),
        ("::1/129", None),
        ("::ffff:10.0.1.7/129", None),
        ("10.0.1.7/", None),
        ("10.0.1.7/-1", None),
        ("10.0.1.7/2 ", None),
        ("10.0.1.7/²", None),
        ("10.0.1.7/0024", None),
        ("10.0.1.7/255.255.255.0", None),
        ("host/24", None),
        ("/24", None),
    ],
)
def test_a_network_is_read_with_its_host_bits_cleared_or_not_at_all(
    text: str, network: Network | None
) -> None:
    assert read_network(text) == network
