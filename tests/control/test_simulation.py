"""The policy simulator and the decoding of refusals, as boto3 sees them."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, DEFAULT_GROUP, SUBNET, World

from hatchway.domain.identity import (
    Attachment,
    Group,
    Guardrail,
    InlinePolicy,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    Role,
)
from hatchway.iam.global_keys import GLOBAL_KEYS, Presence
from hatchway.policies.store_events import explain_request
from hatchway.store import Transaction

ENDPOINT = ARNS.endpoint("eice-0000000000000000a")
OTHER_ENDPOINT = ARNS.endpoint("eice-0000000000000000b")
OPEN_TUNNEL = "ec2-instance-connect:OpenTunnel"
PORT = "ec2-instance-connect:remotePort"
PORT_22 = [{"ContextKeyName": PORT, "ContextKeyValues": ["22"], "ContextKeyType": "numeric"}]

TUNNEL = {
    "Sid": "Tunnel",
    "Effect": "Allow",
    "Action": OPEN_TUNNEL,
    "Resource": ENDPOINT,
    "Condition": {"NumericEquals": {PORT: "22"}},
}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY_TUNNEL = {"Effect": "Deny", "Action": OPEN_TUNNEL, "Resource": "*"}


def document(*statements: dict[str, Any], indent: int | None = None) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=indent)


@pytest.fixture
def simulate(world: World) -> Callable[..., list[dict[str, Any]]]:
    """SimulateCustomPolicy: policies and further parameters to results."""
    iam = world.client("iam")

    def call(*statements: dict[str, Any], **parameters: Any) -> list[dict[str, Any]]:
        asked = {
            "PolicyInputList": [document(*(statements or [EVERYTHING]))],
            "ActionNames": [OPEN_TUNNEL],
        } | parameters
        results: list[dict[str, Any]] = iam.simulate_custom_policy(**asked)["EvaluationResults"]
        return results

    return call


Simulate = Callable[..., list[dict[str, Any]]]


def refusal(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def attach(tx: Transaction, name: str, *statements: dict[str, Any], to: tuple[OwnerKind, str] | None) -> str:
    """Makes a managed policy, and attaches it."""
    arn = ARNS.managed_policy(name)
    now = tx.account().created_at
    tx.managed_policies.put(
        ManagedPolicy(
            arn=arn,
            name=name,
            id=f"ANPA{name.upper()}",
            path="/",
            description="",
            created_at=now,
            updated_at=now,
            default_version="v1",
        )
    )
    tx.policy_versions.put(
        PolicyVersion(policy_arn=arn, version_id="v1", document=document(*statements), created_at=now)
    )
    if to is not None:
        tx.attachments.put(Attachment(owner_kind=to[0], owner_name=to[1], policy_arn=arn))
    return arn


# --- SimulateCustomPolicy ---------------------------------------------------------------------------------


def test_a_policy_for_port_22_allows_port_22(simulate: Simulate) -> None:
    (result,) = simulate(TUNNEL, ResourceArns=[ENDPOINT], ContextEntries=PORT_22)

    assert result["EvalActionName"] == OPEN_TUNNEL
    assert result["EvalDecision"] == "allowed"
    assert result["EvalResourceName"] == ENDPOINT
    assert [one["SourcePolicyId"] for one in result["MatchedStatements"]] == ["PolicyInputList.1"]
    assert result["MissingContextValues"] == []
    assert result["EvalDecisionDetails"] == {"IAM Policy": "allowed"}
    assert "PermissionsBoundaryDecisionDetail" not in result
    assert "OrganizationsDecisionDetail" not in result


def test_a_key_that_is_not_given_is_missing(simulate: Simulate) -> None:
    (result,) = simulate(TUNNEL, ResourceArns=[ENDPOINT])

    assert result["EvalDecision"] == "implicitDeny"
    assert result["MatchedStatements"] == []
    assert result["MissingContextValues"] == [PORT]
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == [PORT]


def test_statements_stand_where_aws_says_they_do(world: World) -> None:
    """The policy and the numbers are those of the AWS CLI's example of simulate-custom-policy."""
    policy = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
        '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
    )
    answer = world.client("iam").simulate_custom_policy(
        PolicyInputList=[policy],
        ActionNames=["dynamodb:CreateBackup"],
        ContextEntries=[
            {
                "ContextKeyName": "aws:CurrentTime",
                "ContextKeyValues": ["2019-04-25T11:00:00Z"],
                "ContextKeyType": "date",
            }
        ],
    )
    (result,) = answer["EvaluationResults"]
    (statement,) = result["MatchedStatements"]

    assert result["EvalDecision"] == "allowed"
    assert statement["StartPosition"] == {"Line": 1, "Column": 38}
    assert statement["EndPosition"] == {"Line": 1, "Column": 167}
    assert "ResourceSpecificResults" not in result


def test_a_statement_over_several_lines_has_its_lines(simulate: Simulate) -> None:
    text = document(TUNNEL, EVERYTHING, indent=2)
    (result,) = simulate(PolicyInputList=[text])
    (statement,) = result["MatchedStatements"]

    first, last = (statement[end]["Line"] for end in ("StartPosition", "EndPosition"))
    lines = text.splitlines()
    assert json.loads("\n".join(lines[first - 1 : last])) == EVERYTHING


def test_a_deny_is_the_only_statement_that_matched(simulate: Simulate) -> None:
    (result,) = simulate(PolicyInputList=[document(EVERYTHING), document(DENY_TUNNEL)])

    assert result["EvalDecision"] == "explicitDeny"
    assert [one["SourcePolicyId"] for one in result["MatchedStatements"]] == ["PolicyInputList.2"]


def test_each_resource_has_its_own_result(simulate: Simulate) -> None:
    (result,) = simulate(TUNNEL, ResourceArns=[ENDPOINT, OTHER_ENDPOINT], ContextEntries=PORT_22)
    specific = result["ResourceSpecificResults"]

    assert [(one["EvalResourceName"], one["EvalResourceDecision"]) for one in specific] == [
        (ENDPOINT, "allowed"),
        (OTHER_ENDPOINT, "implicitDeny"),
    ]
    assert [len(one["MatchedStatements"]) for one in specific] == [1, 0]
    assert result["EvalDecision"] == "implicitDeny"


def test_a_boundary_that_does_not_allow_denies(simulate: Simulate) -> None:
    boundary = document({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
    (result,) = simulate(EVERYTHING, PermissionsBoundaryPolicyInputList=[boundary], ResourceArns=[ENDPOINT])

    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert result["EvalDecisionDetails"] == {
        "IAM Policy": "allowed",
        "Permissions Boundary Policy": "implicitDeny",
    }
    (specific,) = result["ResourceSpecificResults"]
    assert specific["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_every_level_of_an_organization_must_allow(simulate: Simulate) -> None:
    def levels(*statements: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"ServiceControlPolicyInputList": [document(statement)]} for statement in statements]

    only_ec2 = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}
    (open_,) = simulate(EVERYTHING, OrderedOrganizationPolicyInputList=levels(EVERYTHING, EVERYTHING))
    (shut,) = simulate(EVERYTHING, OrderedOrganizationPolicyInputList=levels(EVERYTHING, only_ec2))
    (denied,) = simulate(EVERYTHING, OrderedOrganizationPolicyInputList=levels(DENY_TUNNEL, EVERYTHING))

    assert [one["EvalDecision"] for one in (open_, shut, denied)] == [
        "allowed",
        "implicitDeny",
        "explicitDeny",
    ]
    assert [
        one["OrganizationsDecisionDetail"]["AllowedByOrganizations"] for one in (open_, shut, denied)
    ] == [
        True,
        False,
        False,
    ]
    assert denied["MatchedStatements"] == []


def test_the_supposed_caller_is_who_variables_name(simulate: Simulate) -> None:
    own = {"Effect": "Allow", "Action": "iam:*", "Resource": f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"}
    parameters = {"ActionNames": ["iam:CreateAccessKey"], "ResourceArns": [ARNS.user("alice")]}
    (alice,) = simulate(own, CallerArn=ARNS.user("alice"), **parameters)
    (bob,) = simulate(own, CallerArn=ARNS.user("bob"), **parameters)
    (nobody,) = simulate(own, **parameters)

    assert [one["EvalDecision"] for one in (alice, bob, nobody)] == [
        "allowed",
        "implicitDeny",
        "implicitDeny",
    ]
    assert nobody["MissingContextValues"] == ["aws:username"]


def test_a_list_is_a_key_with_several_values(simulate: Simulate) -> None:
    statement = EVERYTHING | {"Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["env", "team"]}}}

    def decision(*values: str) -> str:
        entry = {"ContextKeyName": "aws:TagKeys", "ContextKeyValues": values, "ContextKeyType": "stringList"}
        (result,) = simulate(statement, ContextEntries=[entry])
        return str(result["EvalDecision"])

    assert decision("env", "team") == "allowed"
    assert decision("env", "cost") == "implicitDeny"


def test_results_come_in_pages(world: World) -> None:
    actions = [f"ec2:Describe{letter}" for letter in "ABCDEFG"]
    pages = world.client("iam").get_paginator("simulate_custom_policy")
    answers = list(
        pages.paginate(
            PolicyInputList=[document(EVERYTHING)], ActionNames=actions, PaginationConfig={"PageSize": 3}
        )
    )

    assert [len(answer["EvaluationResults"]) for answer in answers] == [3, 3, 1]
    assert [one["EvalActionName"] for answer in answers for one in answer["EvaluationResults"]] == actions


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"PolicyInputList": ["{}"]}, "PolicyInputList.1: document: has no Statement"),
        ({"PolicyInputList": ['{"Statement": [{}]}']}, "PolicyInputList.1: Statement[0]: has no Effect"),
        ({"ActionNames": ["ec2:*"]}, "'ec2:*' is not service:action"),
        ({"ResourceArns": ["web-1"]}, "'web-1' is neither an ARN nor *"),
        ({"CallerArn": "arn:aws:iam::123456789012:group/g"}, "is not the ARN of a user or role"),
        ({"ResourcePolicy": "{}"}, "ResourcePolicy is not supported"),
        ({"PermissionsBoundaryPolicyInputList": [document(EVERYTHING)] * 2}, "give one policy"),
        ({"ContextEntries": [{"ContextKeyName": "aws:SourceIp"}]}, "give ContextKeyName and ContextKeyType"),
        ({"ContextEntries": PORT_22 * 2}, "is there already"),
        (
            {"ContextEntries": [PORT_22[0] | {"ContextKeyValues": ["1", "2"]}]},
            "several values need the type numericList",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_its_place(
    simulate: Simulate, parameters: dict[str, Any], words: str
) -> None:
    code, message = refusal(simulate, **parameters)

    assert code == "InvalidInput"
    assert words in message


def test_a_simulation_is_bounded(simulate: Simulate) -> None:
    resources = [ARNS.endpoint(f"eice-{number}") for number in range(300)]
    actions = [f"ec2:A{number}" for number in range(50)]
    policies = [document(*[EVERYTHING] * 50)]

    _, message = refusal(simulate, PolicyInputList=policies, ActionNames=actions, ResourceArns=resources)
    assert "Give MaxItems, at most 3" in message
    assert (
        len(simulate(PolicyInputList=policies, ActionNames=actions, ResourceArns=resources, MaxItems=1)) == 1
    )


# --- SimulatePrincipalPolicy ------------------------------------------------------------------------------


def principal(world: World, arn: str, **parameters: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "ActionNames": [OPEN_TUNNEL],
        "ContextEntries": PORT_22,
        "ResourceArns": [ENDPOINT],
    }
    answer = world.client("iam").simulate_principal_policy(PolicySourceArn=arn, **(asked | parameters))
    (result,) = answer["EvaluationResults"]
    return dict(result)


def matched(result: dict[str, Any]) -> set[tuple[str, str]]:
    return {(one["SourcePolicyId"], one["SourcePolicyType"]) for one in result["MatchedStatements"]}


def test_a_user_is_simulated_with_its_own_policies_and_its_groups(world: World) -> None:
    world.user("alice", TUNNEL)

    def furnish(tx: Transaction) -> None:
        now = tx.account().created_at
        tx.groups.put(Group(name="engineers", id="AGPA1", path="/", created_at=now))
        tx.memberships.put(Membership(user_name="alice", group_name="engineers"))
        tx.inline_policies.put(
            InlinePolicy(
                owner_kind=OwnerKind.GROUP,
                owner_name="engineers",
                policy_name="all",
                document=document(EVERYTHING),
            )
        )
        attach(tx, "connect", TUNNEL, to=(OwnerKind.GROUP, "engineers"))

    world.change(furnish)
    result = principal(world, ARNS.user("alice"))

    assert result["EvalDecision"] == "allowed"
    assert matched(result) == {
        ("user_alice_given", "user"),
        ("group_engineers_all", "group"),
        ("connect", "user-managed"),
    }


def test_a_users_boundary_and_the_guardrails_bind(world: World) -> None:
    world.user("alice", EVERYTHING)

    def bound(tx: Transaction) -> None:
        arn = attach(tx, "bound", EVERYTHING, to=None)
        user = tx.users.get("alice")
        assert user is not None
        tx.users.put(replace(user, permissions_boundary=arn))
        guard = attach(tx, "guard", DENY_TUNNEL, EVERYTHING, to=None)
        tx.guardrails.put(Guardrail(policy_arn=guard))

    world.change(bound)
    result = principal(world, ARNS.user("alice"))

    assert result["EvalDecision"] == "explicitDeny"
    assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": False}
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}


def test_policies_of_the_request_come_besides_and_its_boundary_instead(world: World) -> None:
    world.user("alice")
    more = {"PolicyInputList": [document(EVERYTHING)]}
    nothing = document({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})

    assert principal(world, ARNS.user("alice"))["EvalDecision"] == "implicitDeny"
    assert principal(world, ARNS.user("alice"), **more)["EvalDecision"] == "allowed"
    bounded = principal(world, ARNS.user("alice"), PermissionsBoundaryPolicyInputList=[nothing], **more)
    assert bounded["EvalDecision"] == "implicitDeny"


def test_a_users_tags_are_known_and_can_be_overridden(world: World) -> None:
    tagged = EVERYTHING | {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "web"}}}
    world.user("alice", tagged, tags={"team": "web"})
    other = [
        {"ContextKeyName": "aws:principaltag/team", "ContextKeyValues": ["db"], "ContextKeyType": "string"}
    ]

    assert principal(world, ARNS.user("alice"))["EvalDecision"] == "allowed"
    assert principal(world, ARNS.user("alice"), ContextEntries=other)["EvalDecision"] == "implicitDeny"
    assert principal(world, ARNS.user("alice"), CallerArn=ARNS.user("bob"))["EvalDecision"] == "implicitDeny"


def test_roles_and_groups_are_simulated_too(world: World) -> None:
    def furnish(tx: Transaction) -> None:
        now = tx.account().created_at
        tx.groups.put(Group(name="engineers", id="AGPA1", path="/eng/", created_at=now))
        tx.roles.put(
            Role(name="on-call", id="AROA1", path="/", created_at=now, description="", trust_policy="{}")
        )
        attach(tx, "connect", TUNNEL, to=(OwnerKind.GROUP, "engineers"))
        attach(tx, "rescue", TUNNEL, to=(OwnerKind.ROLE, "on-call"))

    world.change(furnish)

    assert matched(principal(world, ARNS.group("engineers", "/eng/"))) == {("connect", "user-managed")}
    assert matched(principal(world, ARNS.role("on-call"))) == {("rescue", "user-managed")}


def test_simulation_agrees_with_what_is_enforced(world: World) -> None:
    credentials = world.user("alice", {"Effect": "Allow", "Action": "ec2:DescribeSubnets", "Resource": "*"})
    ec2 = world.client("ec2", credentials)
    ec2.describe_subnets()
    with pytest.raises(ClientError):
        ec2.describe_vpcs()

    for action, decision in (("ec2:DescribeSubnets", "allowed"), ("ec2:DescribeVpcs", "implicitDeny")):
        result = principal(world, ARNS.user("alice"), ActionNames=[action], ResourceArns=["*"])
        assert result["EvalDecision"] == decision


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (ARNS.user("nobody"), "NoSuchEntity"),
        (ARNS.user("alice", "/elsewhere/"), "NoSuchEntity"),
        ("arn:aws:iam::999999999999:user/alice", "NoSuchEntity"),
        (ARNS.managed_policy("connect"), "InvalidInput"),
        ("alice-who-has-no-arn-at-all", "InvalidInput"),
    ],
)
def test_an_arn_that_names_nobody_is_refused(world: World, arn: str, code: str) -> None:
    world.user("alice")
    assert refusal(principal, world=world, arn=arn)[0] == code


def test_a_stored_policy_that_cannot_be_read_denies_in_simulation_too(world: World) -> None:
    world.user("alice", EVERYTHING)
    unreadable = InlinePolicy(
        owner_kind=OwnerKind.USER, owner_name="alice", policy_name="guard", document='{"Statement": []}'
    )
    world.change(lambda tx: tx.inline_policies.put(unreadable))
    result = principal(world, ARNS.user("alice"))
    assert result["EvalDecision"] == "explicitDeny"
    assert matched(result) == {("user_alice_guard (cannot be read: Statement: is empty)", "user")}


def test_simulating_a_user_needs_the_permission_on_that_user(world: World) -> None:
    permission = {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": ARNS.user("alice")}
    iam = world.client("iam", world.user("auditor", permission))
    world.user("alice")
    world.user("bob")

    iam.simulate_principal_policy(PolicySourceArn=ARNS.user("alice"), ActionNames=[OPEN_TUNNEL])
    for other in ("bob", "nobody"):
        code, _ = refusal(
            iam.simulate_principal_policy, PolicySourceArn=ARNS.user(other), ActionNames=[OPEN_TUNNEL]
        )
        assert code == "AccessDenied"
    code, _ = refusal(
        iam.simulate_custom_policy, PolicyInputList=[document(EVERYTHING)], ActionNames=[OPEN_TUNNEL]
    )
    assert code == "AccessDenied"


# --- GetContextKeys ---------------------------------------------------------------------------------------


def test_the_context_keys_of_policies_are_told(world: World) -> None:
    own = EVERYTHING | {"Resource": "arn:aws:s3:::b/${aws:username}"}
    answer = world.client("iam").get_context_keys_for_custom_policy(
        PolicyInputList=[document(TUNNEL), document(own)]
    )
    assert answer["ContextKeyNames"] == [PORT, "aws:username"]


def test_the_context_keys_of_a_user_are_told(world: World) -> None:
    world.user("alice", TUNNEL)
    own = EVERYTHING | {"Resource": "arn:aws:s3:::b/${aws:username}"}
    answer = world.client("iam").get_context_keys_for_principal_policy(
        PolicySourceArn=ARNS.user("alice"), PolicyInputList=[document(own)]
    )
    assert answer["ContextKeyNames"] == [PORT, "aws:username"]


# --- DecodeAuthorizationMessage ---------------------------------------------------------------------------


def test_a_refusals_message_is_decoded_to_its_reasons(world: World) -> None:
    statement = {
        "Sid": "OtherSubnet",
        "Effect": "Allow",
        "Action": "ec2:CreateInstanceConnectEndpoint",
        "Resource": ARNS.subnet("subnet-0000000000000000f"),
    }
    alice = world.client("ec2", world.user("alice", statement))
    code, message = refusal(
        alice.create_instance_connect_endpoint, SubnetId=SUBNET, SecurityGroupIds=[DEFAULT_GROUP]
    )
    assert code == "UnauthorizedOperation"
    encoded = message.rpartition("Encoded authorization failure message: ")[2]
    answer = world.client("sts").decode_authorization_message(EncodedMessage=encoded)
    decoded = json.loads(answer["DecodedMessage"])

    assert (decoded["allowed"], decoded["explicitDeny"]) == (False, False)
    assert decoded["context"] == {
        "principal": {"arn": ARNS.user("alice")},
        "action": "ec2:CreateInstanceConnectEndpoint",
        "resource": ARNS.subnet(SUBNET),
    }
    (miss,) = decoded["failures"]["items"]
    assert (miss["sid"], miss["element"]) == ("OtherSubnet", "Resource")
    assert decoded["checks"][-1]["outcome"] == "implicitDeny"


def test_decoding_needs_a_permission(world: World) -> None:
    sts = world.client("sts", world.user("alice"))
    assert refusal(sts.decode_authorization_message, EncodedMessage="x")[0] == "AccessDenied"


@pytest.mark.parametrize("message", ["x", "not base64!", "AAAA" * 100, "=", "é"])
def test_what_was_not_encoded_here_is_not_decoded(world: World, message: str) -> None:
    sts = world.client("sts")
    code, _ = refusal(sts.decode_authorization_message, EncodedMessage=message)
    assert code == "InvalidAuthorizationMessageException"


# --- hatchway explain -------------------------------------------------------------------------------------


def test_the_audit_trail_explains_a_refused_call_and_an_allowed_one(world: World) -> None:
    ec2 = world.client(
        "ec2", world.user("alice", {"Effect": "Allow", "Action": "ec2:*Subnets", "Resource": "*"})
    )
    allowed = ec2.describe_subnets()["ResponseMetadata"]["RequestId"]
    with pytest.raises(ClientError) as caught:
        ec2.describe_vpcs()
    refused = caught.value.response["ResponseMetadata"]["RequestId"]

    assert explain_request(world.store, allowed).outcome == "allowed"
    explained = explain_request(world.store, refused)
    assert explained.outcome == "implicitDeny"
    assert [decision.action for decision in explained.decisions] == ["ec2:DescribeVpcs"]


# --- keys that are there by themselves --------------------------------------------------------------------

ONLY_A_CLIENT_HAS = {"aws:SourceIp", "aws:UserAgent"}
CERTAIN = [
    key.name for key in GLOBAL_KEYS if key.presence is Presence.ALWAYS and key.name not in ONLY_A_CLIENT_HAS
]


def asking_about(*names: str) -> dict[str, Any]:
    return {**EVERYTHING, "Condition": {"Null": dict.fromkeys(names, "false")}}


def test_a_principal_is_simulated_with_every_key_that_its_requests_carry(world: World) -> None:
    world.user("alice", asking_about(*CERTAIN, "aws:username", "aws:ResourceAccount"))
    (result,) = world.client("iam").simulate_principal_policy(
        PolicySourceArn=ARNS.user("alice"), ActionNames=[OPEN_TUNNEL], ResourceArns=[ENDPOINT]
    )["EvaluationResults"]
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("allowed", [])


def test_a_custom_policy_is_simulated_with_every_key_but_the_caller_s_and_the_client_s(
    simulate: Simulate,
) -> None:
    keys = [*CERTAIN, *sorted(ONLY_A_CLIENT_HAS), "aws:ResourceAccount"]
    callers = ["aws:PrincipalArn", "aws:PrincipalType", "aws:userid"]
    (result,) = simulate(asking_about(*keys), ResourceArns=[ENDPOINT])
    assert sorted(result["MissingContextValues"]) == sorted([*callers, *ONLY_A_CLIENT_HAS])

    (result,) = simulate(asking_about(*keys), ResourceArns=[ENDPOINT], CallerArn=ARNS.user("alice"))
    assert sorted(result["MissingContextValues"]) == sorted(["aws:userid", *ONLY_A_CLIENT_HAS])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:ViaAWSService", "false"),
        ("aws:PrincipalIsAWSService", "false"),
        ("aws:SecureTransport", "true"),
        ("aws:ResourceAccount", ACCOUNT),
        ("aws:PrincipalAccount", ACCOUNT),
        ("aws:RequestedRegion", "us-east-1"),
    ],
)
def test_a_key_has_the_value_that_enforcement_sends_unless_the_request_says_other(
    simulate: Simulate, key: str, value: str
) -> None:
    statement = {**EVERYTHING, "Condition": {"StringEquals": {key: value}}}

    def decision(**parameters: Any) -> str:
        (result,) = simulate(statement, ResourceArns=[ENDPOINT], **parameters)
        return str(result["EvalDecision"])

    def entry(*values: str) -> list[dict[str, Any]]:
        return [{"ContextKeyName": key.upper(), "ContextKeyValues": [*values], "ContextKeyType": "string"}]

    assert decision() == "allowed"
    assert decision(ContextEntries=entry("other")) == "implicitDeny"
    assert decision(ContextEntries=entry()) == "implicitDeny"


def test_a_key_of_the_resource_is_missing_where_there_is_none(simulate: Simulate) -> None:
    (result,) = simulate(asking_about("aws:ResourceAccount", "ec2:Region"), ActionNames=["ec2:DescribeVpcs"])
    assert result["MissingContextValues"] == ["aws:ResourceAccount"]


def test_the_deny_by_source_address_is_simulated_as_it_is_enforced(simulate: Simulate) -> None:
    conditions = {
        "NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"},
        "Bool": {"aws:ViaAWSService": "false"},
    }
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": conditions}
    for address, expected in (("192.0.2.7", "allowed"), ("198.51.100.7", "explicitDeny")):
        entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": [address], "ContextKeyType": "ip"}
        (result,) = simulate(EVERYTHING, deny, ContextEntries=[entry])
        assert result["EvalDecision"] == expected


# --- what costs too much ----------------------------------------------------------------------------------

LONG_ARN = f"arn:aws:ec2:us-east-1:{ACCOUNT}:" + "a" * 2000


def many(pattern: str) -> list[str]:
    return [f"{pattern}{number}" for number in range(100_000 // (len(pattern) + 9))]


@pytest.mark.parametrize(
    "costly",
    [
        {"Resource": many("arn:*:*:*:*:*?b")},
        {"NotResource": many("arn:*:*:*:*:*?b*")},
        {"Action": many("*:*?*?b")},
        {"Condition": {"StringLike": {"x:key": many("*?b")}}},
        {"Condition": {"ForAnyValue:StringNotLike": {"x:key": many("*a*b*")}}},
        {"Condition": {"StringLike": {"x:key": many("${x:own}${x:own}*")}}},
    ],
    ids=["resource", "not resource", "action", "condition", "several values", "variables"],
)
def test_a_policy_of_costly_patterns_is_refused_before_it_is_tried(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch, costly: dict[str, Any]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("nothing is to be evaluated")

    monkeypatch.setattr("hatchway.access.simulation.evaluate", never)
    statement = {k: v for k, v in EVERYTHING.items() if f"Not{k}" not in costly} | costly
    several = {
        "ContextKeyName": "x:key",
        "ContextKeyValues": ["a" * 50] * 100,
        "ContextKeyType": "stringList",
    }
    value = {"ContextKeyName": "x:own", "ContextKeyValues": ["a" * 2000], "ContextKeyType": "string"}
    code, message = refusal(
        simulate,
        PolicyInputList=[document(statement)],
        ActionNames=[f"ec2:{'A' * 100}{number}" for number in range(100)],
        ResourceArns=[LONG_ARN],
        ContextEntries=[several, value],
    )
    assert code == "InvalidInput"
    assert message.startswith("The simulation is too large. Give ")


def test_a_page_that_can_be_afforded_is_told_and_answered(simulate: Simulate) -> None:
    asked = {
        "PolicyInputList": [document({**EVERYTHING, "Resource": many("arn:*:*:*:*:*?b")[:500]})],
        "ActionNames": [f"ec2:A{number}" for number in range(60)],
        "ResourceArns": [LONG_ARN],
    }
    _, message = refusal(simulate, **asked)
    found = re.search(r"Give MaxItems, at most ([0-9]+), and ask for the next page by its Marker", message)
    assert found is not None
    assert len(simulate(**asked, MaxItems=int(found[1]))) == int(found[1])


def test_more_policies_than_are_read_at_once_are_refused(simulate: Simulate) -> None:
    long = document(*[EVERYTHING] * 1500)
    _, message = refusal(simulate, PolicyInputList=[long] * 4)
    assert "more than 262144 characters together" in message
    level = {"ServiceControlPolicyInputList": [long] * 4}
    _, message = refusal(simulate, OrderedOrganizationPolicyInputList=[level])
    assert "more than 262144 characters together" in message


def test_a_policy_of_ordinary_size_is_simulated_for_many_actions_on_many_resources(
    simulate: Simulate,
) -> None:
    statements = [
        {**EVERYTHING, "Action": ["ec2:Describe*", f"iam:A{number}"], "Resource": [ENDPOINT, OTHER_ENDPOINT]}
        for number in range(30)
    ]
    actions = [f"ec2:DescribeThing{number}" for number in range(50)]
    resources = [ARNS.endpoint(f"eice-{number:017x}") for number in range(20)]
    assert len(simulate(*statements, ActionNames=actions, ResourceArns=resources)) == 50


def test_policies_to_leave_out_are_refused_by_name(world: World) -> None:
    iam = world.client("iam")
    with pytest.raises(ClientError, match="The parameter PolicyExclusionList is not supported by Hatchway"):
        iam.simulate_principal_policy(
            PolicySourceArn=ARNS.user("alice", "/"),
            ActionNames=["ec2:CreateTags"],
            PolicyExclusionList=[{"PolicyArn": "arn:aws:iam::aws:policy/Any"}],
        )
