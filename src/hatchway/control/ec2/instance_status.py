"""How instances are, and single attributes of one, as EC2 describes them.

Hatchway looks into no host: one that is running is told to be well, so that whoever waits for that goes on.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hatchway.control.ec2.filters import Field, Stored
from hatchway.control.ec2.instance_types import type_of
from hatchway.control.ec2.instances import INSTANCES as DESCRIBED
from hatchway.control.ec2.instances import STATE_CODES
from hatchway.control.ec2.listing import Listing, describe
from hatchway.control.ec2.places import Places
from hatchway.control.ec2.resources import INSTANCES
from hatchway.control.ec2.sql_filters import of_column, of_zone, translated
from hatchway.control.ec2.zones import zone_id, zone_ids
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Instance, InstanceState
from hatchway.store import tables

_SUMMARIES: Final = {
    # Of each state, the summary and whether the host can be reached.
    InstanceState.RUNNING: ("ok", "passed"),
    InstanceState.STOPPED: ("not-applicable", None),
    InstanceState.TERMINATED: ("not-applicable", None),
}


def _fields(call: Call) -> Mapping[str, Field[Instance]]:
    columns = tables.instances.c
    zone = of_zone(columns.subnet_id)
    state = of_column(columns.state)
    codes = [(str(code), state.value) for state, code in STATE_CODES.items()]
    well = Stored(translated(state, lambda: [(told, state.value) for state, (told, _) in _SUMMARIES.items()]))
    reached = Stored(
        translated(state, lambda: [(seen, state.value) for state, (_, seen) in _SUMMARIES.items() if seen])
    )
    return {
        "availability-zone": Stored(zone),
        "availability-zone-id": Stored(translated(zone, lambda: zone_ids(call))),
        "instance-state-code": Stored(translated(state, lambda: codes)),
        "instance-state-name": columns.state,
        "instance-status.reachability": reached,
        "instance-status.status": well,
        "system-status.reachability": reached,
        "system-status.status": well,
    }


STATUSES: Final[Listing[Instance]] = replace(DESCRIBED, action="DescribeInstanceStatus", fields=_fields)


# Nothing here is managed by a service of AWS, so there is nothing more to include.
@operation(
    "ec2", "DescribeInstanceStatus", reads_only=True, unsupported={"IncludeManagedResources": (True, False)}
)
def describe_instance_status(call: Call) -> Result:
    """The status of running instances, or of all."""
    everyone = call.parameters.get("IncludeAllInstances")
    only = [] if everyone else [tables.instances.c.state == InstanceState.RUNNING]
    page = describe(call, STATUSES, *only)
    places = Places(call, page.nouns)
    return {
        "InstanceStatuses": [_status_result(instance, places) for instance in page.nouns],
        "NextToken": page.next_token,
    }


def _status_result(instance: Instance, places: Places) -> dict[str, Any]:
    zone = places.zone(instance.subnet_id)
    status, reached = _SUMMARIES[instance.state]
    summary = {
        "Status": status,
        "Details": [{"Name": "reachability", "Status": reached}] if reached else [],
    }
    return {
        "InstanceId": instance.id,
        "AvailabilityZone": zone,
        "AvailabilityZoneId": zone_id(zone) if zone else None,
        "InstanceState": {"Code": STATE_CODES[instance.state], "Name": instance.state.value},
        "InstanceStatus": summary,
        "SystemStatus": summary,
    }


_ATTRIBUTES: Final[Mapping[str, tuple[str, Any]]] = {
    "blockDeviceMapping": ("BlockDeviceMappings", []),
    "disableApiStop": ("DisableApiStop", {"Value": False}),
    "disableApiTermination": ("DisableApiTermination", {"Value": False}),
    "ebsOptimized": ("EbsOptimized", {"Value": False}),
    "enaSupport": ("EnaSupport", {"Value": False}),
    "enclaveOptions": ("EnclaveOptions", {"Enabled": False}),
    "instanceInitiatedShutdownBehavior": ("InstanceInitiatedShutdownBehavior", {"Value": "stop"}),
    "kernel": ("KernelId", {}),
    "productCodes": ("ProductCodes", []),
    "ramdisk": ("RamdiskId", {}),
    "rootDeviceName": ("RootDeviceName", {}),
    "sourceDestCheck": ("SourceDestCheck", {"Value": True}),
    "sriovNetSupport": ("SriovNetSupport", {}),
    "userData": ("UserData", {}),
}
"""Of each attribute that is the same for every host, the member of the answer and what it holds."""


@operation("ec2", "DescribeInstanceAttribute", reads_only=True)
def describe_instance_attribute(call: Call) -> Result:
    """One attribute of an instance."""
    instance_id, asked = call.parameters["InstanceId"], call.parameters["Attribute"]
    instance = INSTANCES.find(call, instance_id)

    call.authorize(INSTANCES.check(call, "DescribeInstanceAttribute", instance_id, instance))

    instance = INSTANCES.required(instance, instance_id)
    told: dict[str, Any]
    if asked == "groupSet":
        told = {"Groups": Places(call, [instance]).groups(instance.security_group_ids)}
    elif asked == "instanceType":
        told = {"InstanceType": {"Value": type_of(instance)}}
    else:
        member, value = _ATTRIBUTES[asked]
        told = {member: value}
    return {"InstanceId": instance_id, **told}
