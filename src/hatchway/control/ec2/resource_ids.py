"""Ids of EC2 resources in requests, and the errors about them (AWS: "Error codes for the Amazon EC2 API")."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hatchway.protocol import ServiceError


@dataclass(frozen=True, slots=True)
class ResourceId:
    """How the ids of one kind begin, what EC2 calls the kind, and the codes of what can be wrong with one.

    Nothing that a policy's pattern or an ARN gives a meaning to can stand in an id.
    """

    prefix: str
    noun: str
    not_found: str
    malformed: str

    def check(self, *ids: str) -> None:
        """Refuses what cannot be an id of this kind, whether or not there is such a resource.

        Raises:
            ServiceError: `malformed`, or there are too many.
        """
        if len(ids) > MOST_IDS:
            raise ServiceError("InvalidParameterValue", f"A request has at most {MOST_IDS} ids of one kind.")
        for text in ids:
            if not (text.startswith(f"{self.prefix}-") and _rest(text[len(self.prefix) + 1 :])):
                raise ServiceError(
                    self.malformed, f'Invalid id: "{text[:_LONGEST_ECHO]}" (expecting "{self.prefix}-...")'
                )

    def missing(self, ids: Iterable[str]) -> ServiceError:
        """The error for ids, at least one, that nothing has."""
        absent = sorted(ids)
        listed = ", ".join(absent[:_MOST_LISTED])
        if len(absent) == 1:
            return ServiceError(self.not_found, f"The {self.noun} ID '{listed}' does not exist")
        return ServiceError(self.not_found, f"The {self.noun} IDs '{listed}' do not exist")


MOST_IDS: Final = 1000
"""As many as results on a page."""
_LONGEST_ECHO: Final = 128
_MOST_LISTED: Final = 10
_rest: Final = re.compile(r"[0-9a-zA-Z_]{1,64}").fullmatch

ENDPOINT: Final = ResourceId(
    "eice",
    "instance connect endpoint",
    "InvalidInstanceConnectEndpointId.NotFound",
    "InvalidInstanceConnectEndpointId.Malformed",
)
INSTANCE: Final = ResourceId("i", "instance", "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
NETWORK_INTERFACE: Final = ResourceId(
    "eni", "networkInterface", "InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceId.Malformed"
)
SECURITY_GROUP: Final = ResourceId(
    "sg", "security group", "InvalidGroup.NotFound", "InvalidGroupId.Malformed"
)
SECURITY_GROUP_RULE: Final = ResourceId(
    "sgr",
    "security group rule",
    "InvalidSecurityGroupRuleId.NotFound",
    "InvalidSecurityGroupRuleId.Malformed",
)
SUBNET: Final = ResourceId("subnet", "subnet", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed")
VPC: Final = ResourceId("vpc", "vpc", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed")
