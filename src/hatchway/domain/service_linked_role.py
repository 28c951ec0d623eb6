"""The role that EC2 Instance Connect has in an account (AWS: "Service-linked role for EC2 Instance Connect
Endpoint"). Creating the first endpoint makes it.
"""

import json
from datetime import datetime

from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME, SERVICE_LINKED_SERVICE
from hatchway.domain.identity import Role
from hatchway.domain.ids import Kind, derived_id

_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": SERVICE_LINKED_SERVICE},
                "Action": "sts:AssumeRole",
            }
        ],
    },
    separators=(",", ":"),
)


def service_linked_role(account: str, now: datetime) -> Role:
    """The role as `iam:CreateServiceLinkedRole` makes it."""
    return Role(
        name=SERVICE_LINKED_ROLE_NAME,
        id=derived_id(Kind.ROLE, account, SERVICE_LINKED_ROLE_NAME),
        path=f"/aws-service-role/{SERVICE_LINKED_SERVICE}/",
        created_at=now,
        description="",
        trust_policy=_TRUST,
        linked_service=SERVICE_LINKED_SERVICE,
    )
