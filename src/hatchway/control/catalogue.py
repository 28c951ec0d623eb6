"""All operations, by importing every module that has some."""

from hatchway.control import instance_connect, sts
from hatchway.control.ec2 import endpoints
from hatchway.control.operations import Operation, registered_operations

__all__ = ["MODULES", "OPERATIONS"]

MODULES = (endpoints, instance_connect, sts)
OPERATIONS: tuple[Operation, ...] = registered_operations()
