"""Readers of numbers, dates, addresses and ranges agree with the standard library, and never fail."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from fractions import Fraction
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from fuzz.draws import Draws, noise
from hatchway.domain.addresses import parse_address
from hatchway.iam.readers import read_address, read_date, read_network, read_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LETTERS = "0123456789.:-+TZe/%af"
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def one_input(data: bytes) -> None:
    draws = Draws(data)
    match draws.below(3):
        case 0:
            text = draws.rest().decode("utf-8", "surrogateescape")
        case 1:
            text = "".join(draws.one_of(_LETTERS) for _ in range(draws.below(50)))
        case _:
            moment = datetime.fromtimestamp(draws.below(1 << 32), UTC)
            text = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
            assert read_date(text) == int(moment.timestamp())
            at = draws.below(len(text))
            text = text[:at] + draws.one_of(_LETTERS) + text[at + 1 :]
    numbers(text)
    dates(text)
    networks(text)
    addresses(text)


def numbers(text: str) -> None:
    number = read_number(text)
    if number is not None:
        assert number == Fraction(text)


def dates(text: str) -> None:
    seconds = read_date(text)
    if _ISO.fullmatch(text) and not text.startswith("0000"):
        try:
            expected = int(datetime.fromisoformat(text).timestamp())
        except ValueError:
            assert seconds is None
        else:
            assert seconds == expected


def networks(text: str) -> None:
    network = read_network(text)
    if network is not None:
        version, masked, mask = network
        assert version in (4, 6)
        assert masked & mask == masked
    with suppress(ValueError):
        assert (
            network is not None
            or "%" in text
            or re.search(r"/[^/]*[^0-9/]|/[0-9]{4}", text)
            or (ip_network(text, strict=False) is None)
        )


def addresses(text: str) -> None:
    address = read_address(text)
    try:
        known = parse_address(text)
    except ValueError:
        assert address is None
        return
    assert address == (known.version, int(known))
    assert getattr(ip_address(text), "ipv4_mapped", None) in (None, known)


def seeds() -> list[bytes]:
    texts = [
        "2026-11-24T06:17:23Z",
        "2026-02-29T00:00:00+23:59",
        "2026-11-24T06:17:23.123456789-0930",
        "2026-01",
        "1732429043.5",
        "-0",
        ".5e-999",
        "1e999",
        "\u0661",
        "192.0.2.7/33",
        "192.0.2.0/24",
        "::ffff:192.0.2.7/120",
        "::/0",
        "fe80::1%eth0",
        "192.0.2.007",
        "1" * 65,
        "\ud800",
    ]
    return [b"\0" + text.encode("utf-8", "surrogatepass") for text in texts] + noise(40)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    texts = {"digits": "1" * 20 * size, "colons": ":" * 20 * size, "a long prefix": "::/" + "1" * 20 * size}

    def work(text: str) -> None:
        for read in (read_number, read_date, read_network, read_address):
            read(text)

    return {what: partial(work, text) for what, text in texts.items()}
