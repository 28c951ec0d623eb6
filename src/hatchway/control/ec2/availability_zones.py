"""The region, its availability zones and the account, as EC2 describes them.

Zones are names here: of where hosts stand, for whoever spreads subnets over them. The region has three, and
those in which the fleet file puts subnets.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import select

from hatchway.access.authorization import Check
from hatchway.control.ec2.small_listing import choose
from hatchway.control.ec2.zones import zone_id
from hatchway.control.operations import Call, Result, operation
from hatchway.protocol import ServiceError
from hatchway.store import tables

_LETTERS: Final = "abc"
_OPTED_IN: Final = "opt-in-not-required"


def zones_of(call: Call) -> list[str]:
    """The names of the zones, in order."""
    used = call.tx.subnets.rows(select(tables.subnets.c.availability_zone).distinct())
    return sorted({*(zone for (zone,) in used), *(f"{call.arns.region}{letter}" for letter in _LETTERS)})


@operation("ec2", "DescribeAvailabilityZones", reads_only=True)
def describe_availability_zones(call: Call) -> Result:
    """The zones. All of them are there for everyone, so AllAvailabilityZones changes nothing."""
    call.authorize(Check("ec2:DescribeAvailabilityZones"))
    call.parameters.get("AllAvailabilityZones")
    zones = [_zone_result(call, zone) for zone in zones_of(call)]
    zones = _named(call, zones, "ZoneNames", "ZoneName")
    zones = _named(call, zones, "ZoneIds", "ZoneId")
    return {"AvailabilityZones": choose(call, "DescribeAvailabilityZones", zones, _ZONE_FIELDS)}


_ZONE_FIELDS: Final[Mapping[str, Callable[[Any], Iterable[str]]]] = {
    "group-name": lambda zone: [zone["GroupName"]],
    "group-long-name": lambda zone: [zone["GroupLongName"]],
    "opt-in-status": lambda zone: [zone["OptInStatus"]],
    "region-name": lambda zone: [zone["RegionName"]],
    "state": lambda zone: [zone["State"]],
    "zone-id": lambda zone: [zone["ZoneId"]],
    "zone-name": lambda zone: [zone["ZoneName"]],
    "zone-type": lambda zone: [zone["ZoneType"]],
}


def _zone_result(call: Call, zone: str) -> dict[str, Any]:
    region = call.arns.region
    return {
        "ZoneName": zone,
        "ZoneId": zone_id(zone),
        "RegionName": region,
        "State": "available",
        "OptInStatus": _OPTED_IN,
        "ZoneType": "availability-zone",
        "GroupName": f"{region}-zg-1",
        "GroupLongName": region,
        "NetworkBorderGroup": region,
        "Messages": [],
    }


@operation("ec2", "DescribeRegions", reads_only=True)
def describe_regions(call: Call) -> Result:
    """The account's region, which is the only one."""
    call.authorize(Check("ec2:DescribeRegions"))
    call.parameters.get("AllRegions")
    name = call.arns.region
    regions = [{"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": _OPTED_IN}]
    regions = _named(call, regions, "RegionNames", "RegionName")
    return {"Regions": choose(call, "DescribeRegions", regions, _REGION_FIELDS)}


_REGION_FIELDS: Final[Mapping[str, Callable[[Any], Iterable[str]]]] = {
    "endpoint": lambda region: [region["Endpoint"]],
    "opt-in-status": lambda region: [region["OptInStatus"]],
    "region-name": lambda region: [region["RegionName"]],
}


def _named(call: Call, results: list[dict[str, Any]], parameter: str, member: str) -> list[dict[str, Any]]:
    """
    Raises:
        ServiceError: there is none of some name.
    """
    names = frozenset(call.parameters.get(parameter) or ())
    missing = names - {result[member] for result in results}
    if missing:
        told = f"{parameter[0].lower()}{parameter[1:-1]}"
        raise ServiceError("InvalidParameterValue", f"Invalid {told}: [{', '.join(sorted(missing))[:128]}]")
    return [result for result in results if not names or result[member] in names]


_ATTRIBUTES: Final = {"supported-platforms": "VPC", "default-vpc": "none"}


@operation("ec2", "DescribeAccountAttributes", reads_only=True)
def describe_account_attributes(call: Call) -> Result:
    """That there are VPCs and no default one. Hatchway launches nothing, so it has no limits of that."""
    call.authorize(Check("ec2:DescribeAccountAttributes"))
    names = call.parameters.get("AttributeNames") or list(_ATTRIBUTES)
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": _ATTRIBUTES[name]}]}
            for name in names
            if name in _ATTRIBUTES
        ]
    }
