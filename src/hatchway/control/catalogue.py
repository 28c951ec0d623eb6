"""All operations of all services: this module imports every module that has some."""

from collections.abc import Mapping
from typing import Final

from hatchway.control import instance_connect
from hatchway.control.cloudtrail import lookup_events
from hatchway.control.ec2 import (
    absent_networking,
    availability_zones,
    endpoints,
    instance_status,
    instance_types,
    instances,
    network,
    network_interfaces,
    rule_changes,
    security_group_changes,
    security_group_rules,
    security_groups,
    subnet_changes,
    tagging,
    vpc_changes,
)
from hatchway.control.hatchway_service import (
    denials,
    enrollment,
    fleet_files,
    host_public_keys,
    hosts,
    tunnels,
)
from hatchway.control.iam import (
    absent_credentials,
    access_keys,
    account,
    attachments,
    authorization_details,
    credential_report,
    groups,
    identities,
    inline_policies,
    last_accessed,
    policies,
    policy_versions,
    roles,
    service_linked_roles,
    simulation,
    tags,
    users,
)
from hatchway.control.operations import Operation, registered_operations
from hatchway.control.services import DIALECTS
from hatchway.control.sts import assume_role, decode, identity, session_token

__all__ = ["MODULES", "OFFERED", "OPERATIONS"]

MODULES: Final = (
    access_keys,
    account,
    assume_role,
    attachments,
    authorization_details,
    credential_report,
    availability_zones,
    decode,
    denials,
    endpoints,
    enrollment,
    fleet_files,
    groups,
    host_public_keys,
    hosts,
    identities,
    identity,
    inline_policies,
    last_accessed,
    instance_connect,
    instance_status,
    instance_types,
    instances,
    lookup_events,
    network,
    network_interfaces,
    absent_networking,
    absent_credentials,
    policies,
    policy_versions,
    roles,
    rule_changes,
    security_group_changes,
    security_group_rules,
    security_groups,
    service_linked_roles,
    session_token,
    simulation,
    subnet_changes,
    tagging,
    tags,
    tunnels,
    users,
    vpc_changes,
)
OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = registered_operations()
"""By the service's name in credential scopes, and the operation's in the service model."""
OFFERED: Final[Mapping[str, frozenset[str]]] = {
    service: frozenset(name for of, name in OPERATIONS if of == service) for service in DIALECTS
}
"""The names of the operations, by their service's."""
