"""The IAM actions of Hatchway's own service: what each is about, and which condition keys its requests have.

As AWS's service authorization reference says it of AWS's services. `hatchway.policies.reference` puts it
beside that one, so lint and simulation know these actions too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_HATCHWAY: Final = "arn:${Partition}:hatchway:${Region}:${Account}"
_EC2: Final = "arn:${Partition}:ec2:${Region}:${Account}"

RESOURCE_TYPES: Final[Mapping[str, str]] = {
    "tunnel": f"{_HATCHWAY}:tunnel/${{TunnelId}}",
    "enrollment-token": f"{_HATCHWAY}:enrollment-token/${{EnrollmentTokenId}}",
    "instance": f"{_EC2}:instance/${{InstanceId}}",
    "subnet": f"{_EC2}:subnet/${{SubnetId}}",
    "security-group": f"{_EC2}:security-group/${{SecurityGroupId}}",
    "role-session": "arn:${Partition}:sts::${Account}:assumed-role/${RoleName}/${RoleSessionName}",
    "user": "arn:${Partition}:iam::${Account}:user/${UserNameWithPath}",
}
"""Templates of ARNs, by the names of kinds of resources."""

CONDITION_KEYS: Final[Mapping[str, str]] = {"hatchway:Prune": "Bool"}
"""The service's own condition keys, with their types."""


@dataclass(frozen=True, slots=True)
class OwnAction:
    """One action. Without `resource_types` its resource is `*`."""

    name: str
    about: str
    resource_types: tuple[str, ...] = ()
    condition_keys: tuple[str, ...] = ()


_RESOURCE_TAG: Final = "aws:ResourceTag/${TagKey}"
_REQUEST_TAGS: Final = ("aws:RequestTag/${TagKey}", "aws:TagKeys")
_PLACE: Final = ("ec2:SubnetID", "ec2:Vpc")

OWN_ACTIONS: Final = (
    OwnAction("ListTunnels", "List the tunnels that are open."),
    OwnAction("TerminateTunnel", "End a tunnel.", ("tunnel",)),
    OwnAction("ExplainDenial", "Find out why somebody was refused.", ("user", "role-session")),
    OwnAction(
        "RegisterInstance",
        "Say that there is a host, and where.",
        ("subnet", "instance", "security-group"),
        (_RESOURCE_TAG, *_REQUEST_TAGS, *_PLACE),
    ),
    OwnAction(
        "ModifyInstance",
        "Change what is said of a host, where it is and its tags among it.",
        ("instance", "subnet", "security-group"),
        (_RESOURCE_TAG, *_REQUEST_TAGS, *_PLACE),
    ),
    OwnAction("DeregisterInstance", "Take a host out.", ("instance",), (_RESOURCE_TAG, *_PLACE)),
    OwnAction(
        "EnrollHost", "Make the token by which a host is known.", ("instance",), (_RESOURCE_TAG, *_PLACE)
    ),
    OwnAction(
        "DescribeHostKeys",
        "Read the public keys of hosts: who has ec2:DescribeInstances may, unless this is denied.",
        ("instance",),
        (_RESOURCE_TAG,),
    ),
    OwnAction(
        "CreateEnrollmentToken",
        "Make a token by which hosts register themselves.",
        ("subnet", "security-group"),
        (_RESOURCE_TAG, *_REQUEST_TAGS, *_PLACE),
    ),
    OwnAction("ListEnrollmentTokens", "List these tokens, without their secrets."),
    OwnAction("DeleteEnrollmentToken", "End one of these tokens.", ("enrollment-token",)),
    OwnAction("PlanFleet", "See what a fleet file would change.", (), tuple(CONDITION_KEYS)),
    OwnAction(
        "ApplyFleet",
        "Make the account be as a file says: as powerful as an administrator.",
        (),
        tuple(CONDITION_KEYS),
    ),
    OwnAction("ExportFleet", "Read the whole account, with all its policies."),
)
