"""Which services somebody may use, and when he last did (AWS: "Last accessed information").

A report is asked for and got in two calls, as in AWS; it tells what is noted of the audit trail when it is
got (`hatchway.audit.service_uses`), half a minute behind at most.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, select

from hatchway.access.authorization import Check
from hatchway.access.entities import read_entity_arn
from hatchway.access.granted_actions import granted_actions
from hatchway.access.identities import StoredIdentities
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.targets import GROUPS, POLICIES, ROLES, USERS, Kind, Target
from hatchway.control.operations import Call, Result, operation, registered_operations
from hatchway.control.services import services
from hatchway.domain.identity import LastAccessedJob, OwnerKind
from hatchway.domain.ids import time_ordered_uuid
from hatchway.protocol import ServiceError
from hatchway.store import tables

RETENTION: Final = timedelta(hours=24)
"""How long a report can be got."""
_ACTION_LEVEL: Final = "ACTION_LEVEL"
_AT_THE_GATEWAY: Final = ("ec2-instance-connect", "OpenTunnel")
_KINDS: Final[Mapping[OwnerKind, Kind[Any]]] = {
    OwnerKind.USER: USERS,
    OwnerKind.GROUP: GROUPS,
    OwnerKind.ROLE: ROLES,
}
_AT_ONCE: Final = 1000
"""Names in one query."""
_LATEST: Final = int(datetime.max.replace(tzinfo=UTC).timestamp())

_uses = tables.service_uses.c


@dataclass(frozen=True, slots=True)
class Principal:
    """A user or role that a report is about."""

    kind: OwnerKind
    name: str
    id: str
    path: str
    arn: str


@dataclass(frozen=True, slots=True)
class LastUse:
    """A principal's last attempt to use a service, or one action of it."""

    principal: Principal
    service: str
    action: str
    time: datetime


@operation("iam", "GenerateServiceLastAccessedDetails", reads_only=False)
def generate_service_last_accessed_details(call: Call) -> Result:
    arn = call.parameters["Arn"]
    granularity = call.parameters.get("Granularity") or "SERVICE_LEVEL"
    target = _target(call, arn)

    # Whoever may not ask about this ARN is told no more of one that is there.
    check = target.check(call, "GenerateServiceLastAccessedDetails")
    call.authorize(check._replace(resources=(arn,)))

    if target.found is None:
        raise ServiceError("NoSuchEntity", f"ARN {arn} not found.")
    milliseconds = int(call.now.timestamp() * 1000)
    job = LastAccessedJob(
        id=time_ordered_uuid(milliseconds, call.random_bytes(10).hex()),
        arn=arn,
        granularity=granularity,
        requested_by=call.caller.principal.arn,
        created_at=call.now,
    )
    call.tx.last_accessed_jobs.put(job)
    return {"JobId": job.id}


@operation("iam", "GetServiceLastAccessedDetails", reads_only=True)
def get_service_last_accessed_details(call: Call) -> Result:
    """The services that the policies of what the report is about let it use, each with its last use."""
    call.authorize(Check("iam:GetServiceLastAccessedDetails"))

    job = _job(call)
    granted = _granted(call, job)
    page = page_of(call, sorted(granted), key=str)
    by_action = job.granularity == _ACTION_LEVEL
    uses = _last_uses(call, _principals(call, job), page.items, by_action=by_action)
    return {
        **_status(job),
        "JobType": job.granularity,
        "ServicesLastAccessed": [
            _service_result(
                call, name, granted[name], [use for use in uses if use.service == name], by_action
            )
            for name in page.items
        ],
        **page.result(),
    }


@operation("iam", "GetServiceLastAccessedDetailsWithEntities", reads_only=True)
def get_service_last_accessed_details_with_entities(call: Call) -> Result:
    """The users and roles that the report is about, each with its last use of a service, the latest first."""
    namespace = call.parameters["ServiceNamespace"]

    call.authorize(Check("iam:GetServiceLastAccessedDetailsWithEntities"))

    job = _job(call)
    if namespace not in services():
        raise ServiceError("NoSuchEntity", f"Service namespace {namespace} not found.")
    principals = _principals(call, job)
    times = {use.principal: use.time for use in _last_uses(call, principals, [namespace], by_action=False)}

    def rank(principal: Principal) -> str:
        time = times.get(principal)
        seconds = _LATEST if time is None else _LATEST - int(time.timestamp())
        return f"{seconds:014d} {principal.kind} {principal.name}"

    page = page_of(call, principals, key=rank)
    return {
        **_status(job),
        "EntityDetailsList": [
            {
                "EntityInfo": {
                    "Arn": each.arn,
                    "Name": each.name,
                    "Type": each.kind.upper(),
                    "Id": each.id,
                    "Path": each.path,
                },
                "LastAuthenticated": times.get(each),
            }
            for each in page.items
        ],
        **page.result(),
    }


def _target(call: Call, arn: str) -> Target[Any]:
    """What an ARN is of, found or not.

    Raises:
        ServiceError: there are no reports about such things.
    """
    if arn.startswith(call.arns.managed_policy("")):
        return POLICIES.named(call, arn)
    try:
        kind, account, name = read_entity_arn(arn)
    except ValueError:
        account = ""
    if account != call.arns.account:
        raise ServiceError("InvalidInput", f"{arn} is not the ARN of a user, group, role or policy here.")
    target: Target[Any] = _KINDS[kind].named(call, name)
    # Of that name there may be one with another path.
    return target if target.arn(call) == arn else replace(target, found=None)


def _job(call: Call) -> LastAccessedJob:
    """
    Raises:
        ServiceError: the caller has asked for no such report, or what it is about is gone.
    """
    job = call.tx.last_accessed_jobs.get(call.parameters["JobId"])
    if (
        job is None
        or job.requested_by != call.caller.principal.arn
        or call.now - job.created_at > RETENTION
        or _target(call, job.arn).found is None
    ):
        raise ServiceError("NoSuchEntity", f"Cannot find the requested job: {call.parameters['JobId']}")
    return job


def _status(job: LastAccessedJob) -> Result:
    return {
        "JobStatus": "COMPLETED",
        "JobCreationDate": job.created_at,
        "JobCompletionDate": job.created_at,
    }


# --- what may be used -------------------------------------------------------------------------------------


def _granted(call: Call, job: LastAccessedJob) -> dict[str, list[str]]:
    """The services and their actions that some statement of the permissions policies allows.

    As in AWS, whatever resources and conditions it has, and whatever else may deny it.
    """
    actions = [
        f"{service}:{action}" for service, action in sorted([*registered_operations(), _AT_THE_GATEWAY])
    ]
    granted: dict[str, list[str]] = {}
    for allowed in granted_actions(StoredIdentities(call.tx, call.arns), job.arn, actions):
        service, _, action = allowed.partition(":")
        granted.setdefault(service, []).append(action)
    return granted


# --- who used it ------------------------------------------------------------------------------------------


def _principals(call: Call, job: LastAccessedJob) -> list[Principal]:
    """The users and roles that a report is about: those of a group, or to whom a policy is attached."""
    target = _target(call, job.arn)
    owners = {(target.kind.owner, target.name)}
    if target.kind is POLICIES:
        owners = {(each.owner_kind, each.owner_name) for each in call.tx.attachments.find(policy_arn=job.arn)}
    users = {name for kind, name in owners if kind is OwnerKind.USER}
    for kind, name in owners:
        if kind is OwnerKind.GROUP:
            users |= {each.user_name for each in call.tx.memberships.find(group_name=name)}
    roles = {name for kind, name in owners if kind is OwnerKind.ROLE}
    found = []
    for kind, names, rows, table in (
        (OwnerKind.USER, users, call.tx.users, tables.users),
        (OwnerKind.ROLE, roles, call.tx.roles, tables.roles),
    ):
        for some in _portions(sorted(names)):
            for each in rows.find(table.c.name.in_(some)):
                arn = _KINDS[kind].arn(call.arns, each.name, each.path)
                found.append(Principal(kind, each.name, each.id, each.path, arn))
    return found


def _last_uses(
    call: Call, principals: Sequence[Principal], names: Sequence[str], *, by_action: bool
) -> list[LastUse]:
    """The last uses of some services, by each principal and service, or action of it; the latest first."""
    found = []
    whose = {(each.kind, each.name): each for each in principals}
    action = _uses.action if by_action else func.max(_uses.action)
    for kind in (OwnerKind.USER, OwnerKind.ROLE):
        made = tables.users if kind is OwnerKind.USER else tables.roles
        for some in _portions([each.name for each in principals if each.kind is kind]):
            # What somebody did who had the name before is not his.
            query = (
                select(_uses.owner_name, _uses.service, action, func.max(_uses.used_at))
                .join(made, and_(made.c.name == _uses.owner_name, made.c.created_at <= _uses.used_at))
                .where(_uses.owner_kind == kind, _uses.owner_name.in_(some), _uses.service.in_(names))
                .group_by(_uses.owner_name, _uses.service, *([_uses.action] if by_action else []))
            )
            found += [LastUse(whose[kind, row[0]], *row[1:]) for row in call.tx.service_uses.rows(query)]
    return sorted(found, key=lambda use: use.time, reverse=True)


def _service_result(
    call: Call, name: str, actions: Sequence[str], uses: Sequence[LastUse], by_action: bool
) -> dict[str, Any]:
    """`uses` are those of this service, the latest first."""
    result: dict[str, Any] = {
        "ServiceName": services()[name].model.metadata["serviceFullName"],
        "ServiceNamespace": name,
        "TotalAuthenticatedEntities": len({use.principal for use in uses}),
    }
    if uses:
        result |= {
            "LastAuthenticated": uses[0].time,
            "LastAuthenticatedEntity": uses[0].principal.arn,
            "LastAuthenticatedRegion": call.arns.region,
        }
    if by_action:
        latest = {use.action: use for use in reversed(uses)}
        result["TrackedActionsLastAccessed"] = [
            {"ActionName": action, **_action_result(call, latest.get(action))} for action in actions
        ]
    return result


def _action_result(call: Call, use: LastUse | None) -> Result:
    if use is None:
        return {}
    return {
        "LastAccessedEntity": use.principal.arn,
        "LastAccessedTime": use.time,
        "LastAccessedRegion": call.arns.region,
    }


def _portions(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), _AT_ONCE):
        yield names[begin : begin + _AT_ONCE]
