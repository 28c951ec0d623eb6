"""The kinds of EC2 resources that calls act on: how each is found, named and known to policies.

The condition keys of a kind are those that the service authorization reference gives the resource type, as
far as Hatchway has what they tell (AWS: "Actions, resources, and condition keys for Amazon EC2").
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic

from sqlalchemy import Table

from hatchway.access.authorization import Check, Context
from hatchway.access.context import request_tag_keys, resource_tag_keys
from hatchway.control.ec2.filters import Noun
from hatchway.control.ec2.resource_ids import (
    ENDPOINT,
    INSTANCE,
    NETWORK_INTERFACE,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
    VPC,
    ResourceId,
)
from hatchway.control.ec2.zones import zone_id
from hatchway.control.operations import Call
from hatchway.domain.arns import Arns
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import Instance, NetworkInterface, SecurityGroup, SecurityGroupRule, Subnet, Vpc
from hatchway.store import Rows, Transaction, tables

TENANCY: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[Noun]):
    """One kind of resource.

    Attributes:
        type: what EC2 calls it in tags and ARNs.
        keys: the condition keys of one, besides those of its tags.
    """

    type: str
    id: ResourceId
    arn: Callable[[Arns, str], str]
    table: Table
    keys: Callable[[Call, Noun], Context]

    def rows(self, tx: Transaction) -> Rows[Noun]:
        rows: Rows[Noun] = getattr(tx, self.table.name)
        return rows

    def find(self, call: Call, resource_id: str) -> Noun | None:
        """The resource, which is gone to callers when it is only still listed as deleted.

        Raises:
            ServiceError: the id is none of this kind.
        """
        self.id.check(resource_id)
        found = self.rows(call.tx).get(resource_id)
        return None if isinstance(found, Endpoint) and found.deleted else found

    def required(self, found: Noun | None, resource_id: str) -> Noun:
        """
        Raises:
            ServiceError: there is no such resource.
        """
        if found is None:
            raise self.id.missing([resource_id])
        return found

    def context(self, call: Call, noun: Noun | None) -> Context:
        """The condition keys of a resource, its tags' among them; none of what is not there."""
        return {} if noun is None else {**self.keys(call, noun), **resource_tag_keys(noun.tags)}

    def check(self, call: Call, action: str, resource_id: str, noun: Noun | None, **keys: Any) -> Check:
        """The permission for an action on a resource; `keys` are the operation's own, as `Context` has them.

        Where there is no such resource, only who may do it to whatever has that id gets to learn that.
        """
        context = {**self.context(call, noun), **keys.get("context", {})}
        return Check(f"ec2:{action}", (self.arn(call.arns, resource_id),), context=context)

    def creation_checks(self, call: Call, action: str, noun: Noun, **keys: Any) -> tuple[Check, ...]:
        """The permissions for making a resource: the action's on it and, when it has tags, CreateTags'."""
        target = (self.arn(call.arns, noun.id),)
        asked = {**self.keys(call, noun), **request_tag_keys(noun.tags), **keys.get("context", {})}
        making = Check(f"ec2:{action}", target, context=asked)
        if not noun.tags:
            return (making,)
        return making, Check("ec2:CreateTags", target, context={**asked, "ec2:CreateAction": action})


def _vpc_keys(_call: Call, vpc: Vpc) -> Context:
    return {"ec2:VpcID": vpc.id, "ec2:Tenancy": TENANCY}


def _subnet_keys(call: Call, subnet: Subnet) -> Context:
    return {
        "ec2:SubnetID": subnet.id,
        "ec2:Vpc": call.arns.vpc(subnet.vpc_id),
        **zone_keys(subnet),
    }


def _group_keys(call: Call, group: SecurityGroup) -> Context:
    return {"ec2:SecurityGroupID": group.id, "ec2:Vpc": call.arns.vpc(group.vpc_id)}


def _interface_keys(call: Call, interface: NetworkInterface) -> Context:
    zone = zone_keys(call.tx.subnets.get(interface.subnet_id))
    return {
        "ec2:NetworkInterfaceID": interface.id,
        "ec2:Subnet": call.arns.subnet(interface.subnet_id),
        "ec2:Vpc": call.arns.vpc(interface.vpc_id),
        **{key: value for key, value in zone.items() if key == "ec2:AvailabilityZone"},
    }


def _instance_keys(call: Call, instance: Instance) -> Context:
    return {
        "ec2:InstanceID": instance.id,
        "ec2:Tenancy": TENANCY,
        **zone_keys(call.tx.subnets.get(instance.subnet_id)),
    }


def _endpoint_keys(_call: Call, endpoint: Endpoint) -> Context:
    return {"ec2:SubnetID": endpoint.subnet_id}


def zone_keys(subnet: Subnet | None) -> Context:
    """What conditions see of where something in a subnet is."""
    if subnet is None:
        return {}
    zone = subnet.availability_zone
    return {"ec2:AvailabilityZone": zone, "ec2:AvailabilityZoneId": zone_id(zone)}


VPCS: Final[Kind[Vpc]] = Kind(type="vpc", id=VPC, arn=Arns.vpc, table=tables.vpcs, keys=_vpc_keys)
SUBNETS: Final[Kind[Subnet]] = Kind(
    type="subnet", id=SUBNET, arn=Arns.subnet, table=tables.subnets, keys=_subnet_keys
)
SECURITY_GROUPS: Final[Kind[SecurityGroup]] = Kind(
    type="security-group",
    id=SECURITY_GROUP,
    arn=Arns.security_group,
    table=tables.security_groups,
    keys=_group_keys,
)
SECURITY_GROUP_RULES: Final[Kind[SecurityGroupRule]] = Kind(
    type="security-group-rule",
    id=SECURITY_GROUP_RULE,
    arn=Arns.security_group_rule,
    table=tables.security_group_rules,
    keys=lambda _call, _rule: {},
)
NETWORK_INTERFACES: Final[Kind[NetworkInterface]] = Kind(
    type="network-interface",
    id=NETWORK_INTERFACE,
    arn=Arns.network_interface,
    table=tables.network_interfaces,
    keys=_interface_keys,
)
INSTANCES: Final[Kind[Instance]] = Kind(
    type="instance", id=INSTANCE, arn=Arns.instance, table=tables.instances, keys=_instance_keys
)
ENDPOINTS: Final[Kind[Endpoint]] = Kind(
    type="instance-connect-endpoint",
    id=ENDPOINT,
    arn=Arns.endpoint,
    table=tables.endpoints,
    keys=_endpoint_keys,
)

_ALL: Final[tuple[Kind[Any], ...]] = (
    INSTANCES,
    ENDPOINTS,
    NETWORK_INTERFACES,
    SECURITY_GROUPS,
    SECURITY_GROUP_RULES,
    SUBNETS,
    VPCS,
)
KINDS: Final[Mapping[str, Kind[Any]]] = {
    kind.id.prefix: kind for kind in sorted(_ALL, key=lambda kind: kind.type)
}
"""Every kind that can have tags, by what its ids begin with; in the order of the types."""
