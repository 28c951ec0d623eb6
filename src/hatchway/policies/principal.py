"""An account's user, role or group, for `hatchway simulate` to ask about."""

from hatchway.access.entities import Entity, find_entity, read_entity_arn
from hatchway.access.identities import StoredIdentities
from hatchway.domain.arns import Arns
from hatchway.domain.identity import OwnerKind
from hatchway.errors import BadUsage
from hatchway.iam import PolicySet
from hatchway.installation.installation import Installation


def policies_of(entity: Entity, besides: PolicySet) -> PolicySet:
    """An entity's policies, with further ones; a further boundary takes the place of its own."""
    boundary = besides.boundary
    if boundary is None and entity.boundary is not None:
        boundary = entity.boundary.policy
    return PolicySet(
        identity=(*(source.policy for source in entity.identity), *besides.identity),
        boundary=boundary,
        guardrails=(*(source.policy for source in entity.guardrails), *besides.guardrails),
    )


def read_entity(installation: Installation, name: str) -> Entity:
    """The user, else the role, else the group of that name or ARN.

    Raises:
        BadUsage: there is none.
    """
    account = installation.account
    arns = Arns(account.id, account.region)
    kinds = [OwnerKind.USER, OwnerKind.ROLE, OwnerKind.GROUP]
    sought = name
    if name.startswith("arn:"):
        try:
            kind, _, sought = read_entity_arn(name)
        except ValueError as problem:
            raise BadUsage(f"--principal: {problem}") from problem
        kinds = [kind]
    with installation.store.read() as tx:
        for kind in kinds:
            entity = find_entity(StoredIdentities(tx, arns), kind, sought)
            if entity is not None and name in (entity.name, entity.arn):
                return entity
    raise BadUsage(f"--principal: account {account.id} has no user, role or group {name!r}")
