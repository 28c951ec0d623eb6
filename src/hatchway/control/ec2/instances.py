"""Instances as EC2 describes them: the hosts that the fleet file names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func

from hatchway.control.ec2.filters import Field, Stored
from hatchway.control.ec2.instance_types import UNNAMED_TYPE, type_of
from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.places import Places
from hatchway.control.ec2.resource_ids import INSTANCE
from hatchway.control.ec2.sql_filters import (
    of_column,
    of_constant,
    of_expression,
    of_group_ids,
    of_group_names,
    of_id,
    of_zone,
    translated,
)
from hatchway.control.ec2.zones import zone_id, zone_ids
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.account import Account
from hatchway.domain.network import Instance, InstanceState
from hatchway.protocol.text import written_timestamp
from hatchway.store import tables

STATE_CODES: Final = {InstanceState.RUNNING: 16, InstanceState.TERMINATED: 48, InstanceState.STOPPED: 80}
"""AWS: EC2 API Reference, "InstanceState"."""
_TENANCY: Final = "default"


def _fields(call: Call) -> Mapping[str, Field[Instance]]:
    columns = tables.instances.c
    zone = of_zone(columns.subnet_id)
    codes = [(str(code), state.value) for state, code in STATE_CODES.items()]
    account = call.tx.account()
    return {
        "availability-zone": Stored(zone),
        "availability-zone-id": Stored(translated(zone, lambda: zone_ids(call))),
        "instance-id": columns.id,
        "instance-state-code": Stored(translated(of_column(columns.state), lambda: codes)),
        "instance-state-name": columns.state,
        "instance-type": Stored(of_expression(func.coalesce(columns.instance_type, UNNAMED_TYPE))),
        "instance.group-id": Stored(of_group_ids(tables.instances)),
        "instance.group-name": Stored(of_group_names(tables.instances)),
        "ipv6-address": columns.ipv6,
        "launch-time": lambda instance: [written_timestamp(_launch_time(instance, account), "milliseconds")],
        "owner-id": Stored(of_constant(call.arns.account)),
        "private-ip-address": columns.private_ip,
        "reservation-id": Stored(of_id(columns.id, "r-", stem="i-")),
        "subnet-id": columns.subnet_id,
        "tenancy": Stored(of_constant(_TENANCY)),
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
    places, account = Places(call, page.nouns), call.tx.account()
    return {
        "Reservations": [
            {
                "ReservationId": _reservation_id(instance),
                "OwnerId": call.arns.account,
                "Instances": [_instance_result(instance, places, account)],
            }
            for instance in page.nouns
        ],
        "NextToken": page.next_token,
    }


def _instance_result(instance: Instance, places: Places, account: Account) -> dict[str, Any]:
    zone = places.zone(instance.subnet_id)
    return {
        "InstanceId": instance.id,
        "InstanceType": type_of(instance),
        "LaunchTime": _launch_time(instance, account),
        "State": {"Code": STATE_CODES[instance.state], "Name": instance.state.value},
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


def _launch_time(instance: Instance, account: Account) -> datetime:
    """Hatchway launches none: since when it knows of this one, or could have."""
    return instance.registered_at or account.created_at


def _reservation_id(instance: Instance) -> str:
    return f"r-{instance.id.partition('-')[2]}"
