"""What uses a security group, so that it cannot go."""

from sqlalchemy import func, select

from hatchway.control.operations import Call
from hatchway.domain.endpoint import EndpointState
from hatchway.store.tables import endpoints, security_group_rules, security_group_uses


def group_is_used(call: Call, group_id: str) -> bool:
    """Whether anything is in a group, or a rule of another group names it."""
    uses, rules = security_group_uses.c, security_group_rules.c
    gone = select(endpoints.c.id).where(endpoints.c.state == EndpointState.DELETE_COMPLETE)
    in_it = select(func.count()).where(uses.group_id == group_id, uses.resource_id.not_in(gone))
    if call.tx.security_groups.scalar(in_it):
        return True
    return call.tx.security_group_rules.count(rules.peer == group_id, rules.group_id != group_id) > 0
