"""Availability zone ids (AWS: "AZ IDs"): `use1-az1` for `us-east-1a`."""

import re
from collections.abc import Iterable
from typing import Final

from sqlalchemy import select

from hatchway.control.operations import Call
from hatchway.store.tables import subnets

_zone: Final = re.compile(
    r"(?P<area>[a-z]{2})(-(?P<part>[a-z]+))?-(?P<side>north|south|east|west|central|(north|south)(east|west))"
    r"-(?P<number>[0-9])(?P<letter>[a-z])"
).fullmatch
_SIDES: Final = {
    "north": "n", "south": "s", "east": "e", "west": "w", "central": "c",
    "northeast": "ne", "southeast": "se", "northwest": "nw", "southwest": "sw",
}  # fmt: skip


def zone_id(zone: str) -> str:
    """The id of a zone that is named as AWS names its own; any other name is its own id.

    AWS assigns the letters differently in each account; here `a` is the first zone.
    """
    match = _zone(zone)
    if match is None:
        return zone
    region = match["area"] + (match["part"] or "")[:1] + _SIDES[match["side"]] + match["number"]
    return f"{region}-az{ord(match['letter']) - ord('a') + 1}"


def zone_ids(call: Call) -> Iterable[tuple[str, str]]:
    """The zones that the account's subnets are in: the id and the name of each."""
    zones = call.tx.subnets.rows(select(subnets.c.availability_zone).distinct())
    return [(zone_id(zone), zone) for (zone,) in zones]
