"""AssumeRole: temporary credentials of a role, for whom its trust policy names."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from hatchway.access.authorization import Trust
from hatchway.access.context import request_tag_keys
from hatchway.access.entities import read_entity_arn
from hatchway.access.principal import PrincipalType
from hatchway.control.iam.targets import tag_keys
from hatchway.control.operations import Call, Result, operation
from hatchway.control.sts.issuing import issue, refuse_factor
from hatchway.control.sts.session_policies import check_managed, packed_percentage, read_session_policies
from hatchway.control.sts.session_tags import SessionTags, read_session_tags
from hatchway.domain.identity import OwnerKind, Role
from hatchway.domain.session import Session, SessionKind
from hatchway.protocol import ServiceError

DEFAULT_SECONDS: Final = 3_600
MOST_SECONDS_CHAINED: Final = 3_600


@operation("sts", "AssumeRole", reads_only=False, unsupported={"ProvidedContexts": ()})
def assume_role(call: Call) -> Result:
    """Each permission that it takes must be given by the role's trust policy, and by the caller's own
    policies unless the trust policy names the caller itself.

    Whoever lacks one is not told whether there is such a role.
    """
    parameters, principal = call.parameters, call.caller.principal
    arn, name = parameters["RoleArn"], parameters["RoleSessionName"]
    policies = read_session_policies(call)
    tags = read_session_tags(call)
    source_identity = _source_identity(call)
    if principal.type is PrincipalType.ROOT:
        raise ServiceError("AccessDenied", "Roles may not be assumed by root accounts.", status=403)
    role = _role(call, arn)

    call.authorize(*_checks(call, arn, role, tags, source_identity))

    assert role is not None
    refuse_factor(call)
    chained = principal.type is PrincipalType.ASSUMED_ROLE
    seconds = _seconds(call, role, chained=chained)
    check_managed(call, policies)
    packed = packed_percentage(policies, tags.tags)
    issued = issue(
        call,
        Session(
            access_key_id="",
            kind=SessionKind.ROLE,
            owner_name=role.name,
            owner_id=role.id,
            name=name,
            token_hash=b"",
            issued_at=call.now,
            expires_at=call.now + timedelta(seconds=seconds),
            policy=policies.policy,
            policy_arns=policies.arns,
            session_tags=tags.tags,
            transitive_tag_keys=tags.transitive_keys,
            source_identity=source_identity,
            chained=chained,
            made_by=principal.maker_id,
        ),
    )
    user = {"AssumedRoleId": f"{role.id}:{name}", "Arn": call.arns.assumed_role(role.name, name)}
    return {**issued, "AssumedRoleUser": user, "PackedPolicySize": packed, "SourceIdentity": source_identity}


def _role(call: Call, arn: str) -> Role | None:
    """The role that an ARN names, if it is there."""
    try:
        kind, account, name = read_entity_arn(arn)
    except ValueError:
        raise ServiceError("ValidationError", f"{arn} is invalid") from None
    role = call.tx.roles.get(name) if kind is OwnerKind.ROLE and account == call.arns.account else None
    return role if role is not None and call.arns.role(role.name, role.path) == arn else None


def _source_identity(call: Call) -> str | None:
    """The call's, or that of the calling session, which stays what it is.

    Raises:
        ServiceError: it is to be another, or AWS's own.
    """
    given = call.parameters.get("SourceIdentity")
    session = call.caller.principal.session
    before = None if session is None else session.source_identity
    if given is not None and given.lower().startswith("aws:"):
        raise ServiceError("ValidationError", "SourceIdentity cannot begin with aws:")
    if given is not None and before is not None and given != before:
        raise ServiceError(
            "ValidationError",
            "The calling session has a SourceIdentity already, which cannot be changed.",
        )
    return before if given is None else given


def _checks(
    call: Call, arn: str, role: Role | None, tags: SessionTags, source_identity: str | None
) -> Iterable[Trust]:
    context: dict[str, str | tuple[str, ...]] = {
        "sts:RoleSessionName": call.parameters["RoleSessionName"],
        **request_tag_keys(tags.tags),
        **({} if role is None else tag_keys(role.tags)),
    }
    if tags.transitive_keys:
        context["sts:TransitiveTagKeys"] = tags.transitive_keys
    if (external_id := call.parameters.get("ExternalId")) is not None:
        context["sts:ExternalId"] = external_id
    actions = ["sts:AssumeRole"]
    if tags.tags:
        actions.append("sts:TagSession")
    if source_identity is not None:
        context["sts:SourceIdentity"] = source_identity
        actions.append("sts:SetSourceIdentity")
    trust_policy = None if role is None else role.trust_policy
    return [Trust(action, arn, trust_policy, context) for action in actions]


def _seconds(call: Call, role: Role, *, chained: bool) -> int:
    """How long the session is to last.

    Raises:
        ServiceError: longer than it may.
    """
    seconds: int = call.parameters.get("DurationSeconds") or DEFAULT_SECONDS
    if chained and seconds > MOST_SECONDS_CHAINED:
        raise ServiceError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role"
            " chaining",
        )
    if seconds > role.max_session_duration:
        raise ServiceError(
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        )
    return seconds
