"""All operations, by importing every module that has some."""

from hatchway.control import instance_connect, sts
from hatchway.control.ec2 import endpoints, instances, network, network_interfaces, security_groups
from hatchway.control.iam import access_keys, roles, user_policies, users
from hatchway.control.operations import Operation, registered_operations

__all__ = ["MODULES", "OPERATIONS"]

MODULES = (
    access_keys,
    endpoints,
    instance_connect,
    instances,
    network,
    network_interfaces,
    roles,
    security_groups,
    sts,
    user_policies,
    users,
)
OPERATIONS: tuple[Operation, ...] = registered_operations()
