"""Which actions the permissions policies of a user, group or role, or a managed policy, allow at all.

As AWS's last accessed information has it: whatever resources and conditions a statement has, and whatever
else may deny it (AWS: "GenerateServiceLastAccessedDetails").
"""

from collections.abc import Iterable

from hatchway.access.entities import find_entity, read_entity_arn
from hatchway.access.identities import StoredIdentities
from hatchway.access.stored_policies import stored_policy
from hatchway.iam import Effect, Policy


def granted_actions(identities: StoredIdentities, arn: str, actions: Iterable[str]) -> list[str]:
    """Those of the actions, such as `ec2:DescribeVpcs`, that some statement allows.

    None of what is not there.

    Raises:
        ValueError: it is not the ARN of a user, group, role or managed policy.
    """
    allowing = [
        statement.action
        for policy in _policies(identities, arn)
        for statement in policy.statements
        if statement.effect is Effect.ALLOW
    ]
    return [action for action in actions if any(each.matches(action.lower()) for each in allowing)]


def _policies(identities: StoredIdentities, arn: str) -> list[Policy]:
    managed = identities.managed_policy(arn)
    if managed is not None:
        return [stored_policy(managed[1], managed[0].name)]
    kind, _, name = read_entity_arn(arn)
    entity = find_entity(identities, kind, name)
    return [] if entity is None else [sourced.policy for sourced in entity.identity]
