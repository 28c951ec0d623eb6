"""Instances as EC2 describes them: the hosts that the fleet file names."""

from collections.abc import Mapping
from typing import Any, Final

from hatchway.control.ec2.filters import Field
from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.places import Places
from hatchway.control.ec2.resource_ids import INSTANCE
from hatchway.control.ec2.zones import zone_id
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Instance, InstanceState
from hatchway.store import tables

_STATE_CODES: Final = {InstanceState.RUNNING: 16, InstanceState.TERMINATED: 48, InstanceState.STOPPED: 80}
"""AWS: EC2 API Reference, "InstanceState"."""
_TENANCY: Final = "default"


def _fields(call: Call) -> Mapping[str, Field[Instance]]:
    places = Places(call)
    columns = tables.instances.c
    return {
        "availability-zone": lambda instance: _present(places.zone(instance.subnet_id)),
        "availability-zone-id": lambda instance: map(zone_id, _present(places.zone(instance.subnet_id))),
        "instance-id": columns.id,
        "instance-state-code": lambda instance: [str(_STATE_CODES[instance.state])],
        "instance-state-name": columns.state,
        "instance.group-id": lambda instance: instance.security_group_ids,
        "instance.group-name": lambda instance: [
            group["GroupName"] for group in places.groups(instance.security_group_ids)
        ],
        "ipv6-address": columns.ipv6,
        "owner-id": lambda _: [call.arns.account],
        "private-ip-address": columns.private_ip,
        "reservation-id": lambda instance: [_reservation_id(instance)],
        "subnet-id": columns.subnet_id,
        "tenancy": lambda _: [_TENANCY],
        "vpc-id": columns.vpc_id,
    }


INSTANCES: Final[Listing[Instance]] = Listing(
    action="DescribeInstances",
    ids="InstanceIds",
    kind=INSTANCE,
    rows=lambda tx: tx.instances,
    id_column=tables.instances.c.id,
    fields=_fields,
    ids_exclude_pages=True,
)


# Nothing here is managed by a service of AWS, so there is nothing more to include.
@operation(
    "ec2", "DescribeInstances", reads_only=True, unsupported={"IncludeManagedResources": (True, False)}
)
def describe_instances(call: Call) -> Result:
    """Instances, each in a reservation of its own."""
    page = describe(call, INSTANCES)
    places = Places(call)
    return {
        "Reservations": [
            {
                "ReservationId": _reservation_id(instance),
                "OwnerId": call.arns.account,
                "Instances": [_instance_result(instance, places)],
            }
            for instance in page.nouns
        ],
        "NextToken": page.next_token,
    }


def _instance_result(instance: Instance, places: Places) -> dict[str, Any]:
    zone = places.zone(instance.subnet_id)
    return {
        "InstanceId": instance.id,
        "State": {"Code": _STATE_CODES[instance.state], "Name": instance.state.value},
        "VpcId": instance.vpc_id,
        "SubnetId": instance.subnet_id,
        "PrivateIpAddress": instance.private_ip,
        "Ipv6Address": instance.ipv6,
        "Placement": {
            "AvailabilityZone": zone,
            "AvailabilityZoneId": zone_id(zone) if zone else None,
            "Tenancy": _TENANCY,
        },
        "SecurityGroups": places.groups(instance.security_group_ids),
        "Tags": tag_results(instance.tags),
    }


def _reservation_id(instance: Instance) -> str:
    return f"r-{instance.id.partition('-')[2]}"


def _present(value: str | None) -> list[str]:
    return [] if value is None else [value]
