"""NextTokens and Markers: those that were given lead on, others are refused and nothing worse."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from fuzz.draws import Draws, noise
from hatchway.control.ec2.paging import next_token, position_of
from hatchway.control.hatchway_service.paging import position_of as tunnels_position
from hatchway.control.iam.paging import _position as iam_position
from hatchway.control.iam.paging import page_of
from hatchway.protocol import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatchway.control.operations import Call

_CODES = ("InvalidParameterValue", "ValidationError", "ValidationException")


def one_input(data: bytes) -> None:
    draws = Draws(data)
    token = draws.text(200) if draws.chance(2) else base64.urlsafe_b64encode(draws.octets(60)).decode()
    for read in (_ec2, _iam, tunnels_position):
        try:
            position = read(token)
        except ServiceError as refusal:
            assert refusal.code in _CODES
            assert len(refusal.message) < 300
            continue
        # It goes into a question to the store: PostgreSQL takes no NUL, and nothing takes a surrogate.
        position.encode()
        assert "\0" not in position
    names = sorted({f"{draws.below(95) + 32:c}{draws.below(1000)}" for _ in range(draws.below(9))})
    assert _all_pages(names, 1 + draws.below(4)) == names
    assert _ec2(next_token("DescribeVpcs", "vpc-0a")) == "vpc-0a"


def _iam(token: str) -> str:
    return iam_position("ListUsers", token)


def _ec2(token: str) -> str:
    return position_of({"NextToken": token}, "DescribeVpcs")


def _all_pages(names: list[str], size: int) -> list[str]:
    found: list[str] = []
    marker = None
    while True:
        page = page_of(_call(marker, size), names, lambda name: name)
        assert len(page.items) <= size
        found += page.items
        marker = page.marker
        if marker is None:
            return found


def _call(marker: str | None, size: int) -> Call:
    parameters: dict[str, Any] = {"MaxItems": size} | ({} if marker is None else {"Marker": marker})
    return cast("Call", SimpleNamespace(operation_name="ListUsers", parameters=parameters))


def seeds() -> list[bytes]:
    tokens = [
        next_token("DescribeVpcs", "vpc-0a"),
        next_token("DescribeVpcs", "a\0b"),
        next_token("DescribeSubnets", "subnet-0a"),
        base64.urlsafe_b64encode(b"a\0").decode(),
        base64.urlsafe_b64encode("é".encode()).decode(),
        base64.b64encode(b"\xed\xa0\x80").decode(),
        "YQ",
        "YR==",
        "=",
    ]
    return [b"\1" + bytes((len(token),)) + token.encode() for token in tokens] + noise(30, 100)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    token = "QUJD" * 50 * size

    def refused() -> None:
        for read in (_ec2, _iam, tunnels_position):
            try:
                read(token)
            except ServiceError:
                continue

    return {"a long token": refused}
