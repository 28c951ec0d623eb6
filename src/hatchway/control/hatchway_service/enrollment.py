"""How hosts become known: a host token for one, or a token by which hosts register themselves."""

from datetime import timedelta
from typing import Final

from hatchway.access.authorization import Check
from hatchway.access.context import request_tag_keys
from hatchway.account.host_tokens import new_host_token
from hatchway.control.ec2.listing import tag_results
from hatchway.control.hatchway_service.hosts import (
    instance_check,
    new_tag_checks,
    place_keys,
    require_groups,
    require_instance,
    require_subnet,
    tags_of,
)
from hatchway.control.hatchway_service.paging import DEFAULT_SIZE, make_token, position_of
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.arns import Arns
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.enrollment_token import ENROLLMENT_TOKEN, EnrollmentToken
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.network import Tags
from hatchway.fleet.values import MAX_TAGS
from hatchway.protocol import ServiceError
from hatchway.store.tables import enrollment_tokens

MOST_TOKENS: Final = 1000
"""Enrollment tokens of an account that are good at once."""
_DEFAULT_LIFETIME: Final = 3600
_ID_BYTES: Final = 12


@operation("hatchway", "EnrollHost", reads_only=False)
def enroll_host(call: Call) -> Result:
    """Makes a host token. A former one is good until the new one is first used, or ends now."""
    instance_id = call.parameters["InstanceId"]
    instance = call.tx.instances.get(instance_id)

    call.authorize(instance_check(call, "EnrollHost", instance_id, instance))

    require_instance(instance_id, instance)
    made = new_host_token(
        call.tx,
        instance_id,
        call.random_bytes(SECRET_SIZE),
        now=call.now,
        at_once=call.parameters.get("AtOnce", False),
    )
    return {
        "InstanceId": instance_id,
        "HostToken": made.token,
        "InForce": made.in_force,
        "Replaced": made.replaced,
    }


@operation("hatchway", "CreateEnrollmentToken", reads_only=False)
def create_enrollment_token(call: Call) -> Result:
    """Makes a token by which hosts register themselves in a subnet."""
    given = call.parameters
    subnet_id, group_ids = given["SubnetId"], tuple(dict.fromkeys(given.get("SecurityGroupIds") or ()))
    tags = tags_of(given.get("Tags") or ())
    subnet = call.tx.subnets.get(subnet_id)

    call.authorize(
        Check(
            "hatchway:CreateEnrollmentToken",
            (call.arns.subnet(subnet_id),),
            tuple(map(call.arns.security_group, group_ids)),
            {**place_keys(call.arns, subnet_id, subnet), **request_tag_keys(tags)},
        ),
        *new_tag_checks(call, "CreateEnrollmentToken", "*", subnet, tags),
    )

    subnet = require_subnet(subnet_id, subnet)
    _check_tags(tags)
    require_groups(call, group_ids)
    for group_id in group_ids:
        group = call.tx.security_groups.get(group_id)
        if group is not None and group.vpc_id != subnet.vpc_id:
            raise ServiceError("ValidationException", f"SecurityGroupIds: {group_id} is of another VPC.")
    if call.tx.enrollment_tokens.count(enrollment_tokens.c.expires_at > call.now) >= MOST_TOKENS:
        raise ServiceError(
            "LimitExceededException",
            f"There are {MOST_TOKENS} enrollment tokens: delete one, or wait until one expires.",
        )
    token = BearerToken(new_id(Kind.ENROLLMENT, call.random_bytes(_ID_BYTES)), call.random_bytes(SECRET_SIZE))
    kept = EnrollmentToken(
        id=token.id,
        token_hash=ENROLLMENT_TOKEN.hash(token),
        subnet_id=subnet_id,
        security_group_ids=group_ids,
        tags=tags,
        max_uses=given.get("MaxUses", 1),
        uses=0,
        created_by=call.caller.principal.arn,
        created_at=call.now,
        expires_at=call.now + timedelta(seconds=given.get("LifetimeSeconds", _DEFAULT_LIFETIME)),
    )
    call.tx.enrollment_tokens.put(kept)
    return {"EnrollmentToken": _result(call.arns, kept), "Token": ENROLLMENT_TOKEN.write(token)}


def _check_tags(tags: Tags) -> None:
    """Refuses what no instance may have: a token by which nobody could register helps nobody."""
    if any(key.lower().startswith("aws:") for key in tags):
        raise ServiceError("ValidationException", "Tags: keys that begin with aws: are reserved.")
    # Whoever registers brings its name.
    if len({key.lower() for key in tags} | {"name"}) > MAX_TAGS:
        raise ServiceError(
            "ValidationException", f"Tags: an instance has at most {MAX_TAGS} tags, its Name included."
        )


@operation("hatchway", "ListEnrollmentTokens", reads_only=True)
def list_enrollment_tokens(call: Call) -> Result:
    """The tokens that have not expired."""
    after = position_of(call.parameters.get("NextToken"))
    size = call.parameters.get("MaxResults") or DEFAULT_SIZE

    call.authorize(Check("hatchway:ListEnrollmentTokens"))

    columns = enrollment_tokens.c
    found = call.tx.enrollment_tokens.find(
        columns.expires_at > call.now, columns.id > after, order=(columns.id,), limit=size + 1
    )
    page = found[:size]
    return {
        "EnrollmentTokens": [_result(call.arns, token) for token in page],
        "NextToken": make_token(page[-1].id) if len(found) > size else None,
    }


@operation("hatchway", "DeleteEnrollmentToken", reads_only=False)
def delete_enrollment_token(call: Call) -> Result:
    """Ends a token. Hosts that registered by it stay."""
    token_id = call.parameters["EnrollmentTokenId"]

    call.authorize(Check("hatchway:DeleteEnrollmentToken", (call.arns.enrollment_token(token_id),)))

    if call.tx.enrollment_tokens.get(token_id) is None:
        raise ServiceError("ResourceNotFoundException", f"There is no enrollment token {token_id}.")
    call.tx.enrollment_tokens.delete(token_id)
    return {}


def _result(arns: Arns, token: EnrollmentToken) -> Result:
    return {
        "EnrollmentTokenId": token.id,
        "EnrollmentTokenArn": arns.enrollment_token(token.id),
        "SubnetId": token.subnet_id,
        "SecurityGroupIds": list(token.security_group_ids) or None,
        "Tags": tag_results(token.tags),
        "MaxUses": token.max_uses,
        "Uses": token.uses,
        "CreatedBy": token.created_by,
        "CreatedAt": token.created_at,
        "ExpiresAt": token.expires_at,
    }
