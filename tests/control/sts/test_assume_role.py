"""AssumeRole: whom a role trusts gets its permissions for a while, never more, and as whom is told."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, INSTANCE, Credentials, World

from hatchway.access.signing_keys import GATEWAY_SERVICE
from hatchway.control.sts import issuing

ROOT_OF_ACCOUNT = {"AWS": ACCOUNT}
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ASSUME = {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}
DESCRIBE = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}
TUNNELS = {"Effect": "Allow", "Action": "ec2-instance-connect:*", "Resource": "*"}
ALICE, BOB = ({"AWS": ARNS.user(name)} for name in ("alice", "bob"))
TAGGING = ["sts:AssumeRole", "sts:TagSession"]


def document(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def assume(world: World, who: Credentials | None, role: str, name: str = "work", **more: Any) -> Any:
    # The server is to refuse what is wrong, not the client.
    client = world.client("sts", who, parameter_validation=False)
    return client.assume_role(RoleArn=role, RoleSessionName=name, **more)


def session(world: World, who: Credentials | None, role: str, name: str = "work", **more: Any) -> Credentials:
    return Credentials.temporary(assume(world, who, role, name, **more))


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and the message with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def denied(call: Callable[[], Any]) -> bool:
    return refusal(call)[0] in {"AccessDenied", "UnauthorizedOperation", "AuthException"}


def test_the_credentials_of_a_role_make_every_kind_of_call_as_the_role(world: World) -> None:
    role = world.role("on-call", ALL, trust={"Principal": ALICE}, path="/ops/", tags={"team": "web"})
    answer = assume(world, world.user("alice"), role, "alice@laptop")
    who = Credentials.temporary(answer)

    user = answer["AssumedRoleUser"]
    assert user["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/on-call/alice@laptop"
    assert user["AssumedRoleId"].startswith("AROA") and user["AssumedRoleId"].endswith(":alice@laptop")
    assert who.access_key_id.startswith("ASIA") and len(who.access_key_id) == 20
    identity = world.client("sts", who).get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (user["Arn"], user["AssumedRoleId"])
    assert world.client("ec2", who).describe_vpcs()["Vpcs"]
    assert world.client("iam", who).list_users()["Users"]
    pushed = world.client("ec2-instance-connect", who).send_ssh_public_key(
        InstanceId=INSTANCE,
        InstanceOSUser="ec2-user",
        SSHPublicKey="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII/UQTo0IOgqf08pw8nQ30OHuyubH0fE2z5xb/DMbl1X me",
    )
    assert pushed["Success"]


def test_the_role_s_policies_decide_and_not_those_of_who_assumed_it(world: World) -> None:
    role = world.role("reader", DESCRIBE, trust={"Principal": ROOT_OF_ACCOUNT})
    who = session(world, world.user("alice", ALL), role)

    assert world.client("ec2", who).describe_vpcs()["Vpcs"]
    code, message = refusal(world.client("iam", who).list_users)
    assert code == "AccessDenied"
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/work is not authorized" in message


@pytest.mark.parametrize(
    ("trust", "own", "outcome"),
    [
        ({"Principal": ALICE}, (), "in"),
        ({"Principal": ROOT_OF_ACCOUNT}, (ASSUME,), "in"),
        ({"Principal": ROOT_OF_ACCOUNT}, (), "no identity-based policy allows the sts:AssumeRole action"),
        ({"Principal": BOB}, (ASSUME,), "no role trust policy allows the sts:AssumeRole action"),
        ({"Principal": BOB}, (), "no identity-based policy allows the sts:AssumeRole action"),
        (
            {"Principal": ALICE},
            ({**ASSUME, "Effect": "Deny"},),
            "explicit deny in an identity-based policy",
        ),
        ({"Principal": {"Service": "ec2.amazonaws.com"}}, (ASSUME,), "no role trust policy allows"),
        (
            [{"Principal": ALICE}, {"Effect": "Deny", "Principal": "*"}],
            (ASSUME,),
            "an explicit deny in the role trust policy",
        ),
    ],
)
def test_the_trust_policy_and_the_callers_own_decide_who_may(
    world: World, trust: Any, own: tuple[Any, ...], outcome: str
) -> None:
    role, alice = world.role("on-call", trust=trust), world.user("alice", *own)
    if outcome == "in":
        session(world, alice, role)
        return
    code, message = refusal(lambda: assume(world, alice, role))
    assert code == "AccessDenied" and outcome in message


def test_who_may_not_assume_a_role_is_not_told_whether_it_is_there(world: World) -> None:
    alice = world.user("alice")
    there = world.role("there", trust={"Principal": ROOT_OF_ACCOUNT})
    distrusting = world.role("distrusting", trust={"Principal": BOB})
    told = {
        refusal(partial(assume, world, alice, arn))[1].partition("(request")[0].replace(arn, "ARN")
        for arn in (there, distrusting, ARNS.role("nowhere"), there.replace(ACCOUNT, "210987654321"))
    }
    assert len(told) == 1

    world.allow("alice", ASSUME)
    told = {
        refusal(partial(assume, world, alice, arn))[1].partition("(request")[0].replace(arn, "ARN")
        for arn in (distrusting, ARNS.role("nowhere"))
    }
    assert len(told) == 1


def test_the_root_user_may_not_assume_a_role_and_a_text_that_is_no_arn_is_refused(world: World) -> None:
    role = world.role("on-call", trust={"Principal": "*"})
    assert refusal(lambda: assume(world, None, role))[1].startswith("Roles may not be assumed by root")
    assert refusal(lambda: assume(world, world.user("alice"), "a role that is none"))[0] == "ValidationError"


def test_without_the_right_external_id_nobody_gets_another_to_assume_the_role_for_him(world: World) -> None:
    trust = {"Principal": ALICE, "Condition": {"StringEquals": {"sts:ExternalId": "customer-7"}}}
    role, alice = world.role("customer", trust=trust), world.user("alice")

    assert denied(lambda: assume(world, alice, role))
    assert denied(lambda: assume(world, alice, role, ExternalId="customer-8"))
    session(world, alice, role, ExternalId="customer-7")


def test_trust_may_ask_for_a_session_name(world: World) -> None:
    trust = {"Principal": "*", "Condition": {"StringLike": {"sts:RoleSessionName": "${aws:username}"}}}
    role, alice = world.role("on-call", trust=trust), world.user("alice", ASSUME)

    assert denied(lambda: assume(world, alice, role, "bob"))
    session(world, alice, role, "alice")


# --- how long ---------------------------------------------------------------------------------------------


def lasts(answer: Any) -> int:
    """Seconds from now until the credentials expire, to a minute."""
    left: timedelta = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    return round(left / timedelta(minutes=1)) * 60


def test_a_session_lasts_an_hour_or_as_asked_up_to_what_the_role_allows(world: World) -> None:
    role, alice = (
        world.role("long", trust={"Principal": ALICE}, max_session_duration=7200),
        world.user("alice"),
    )
    assert lasts(assume(world, alice, role)) == 3600
    assert lasts(assume(world, alice, role, DurationSeconds=900)) == 900
    assert lasts(assume(world, alice, role, DurationSeconds=7200)) == 7200
    code, message = refusal(lambda: assume(world, alice, role, DurationSeconds=7201))
    assert code == "ValidationError" and "exceeds the MaxSessionDuration set for this role" in message
    with pytest.raises(ClientError, match="ValidationError"):
        assume(world, alice, role, DurationSeconds=899)


def test_a_session_made_with_another_role_s_lasts_an_hour_at_most(world: World) -> None:
    first = world.role("first", ASSUME, trust={"Principal": ALICE}, max_session_duration=43200)
    second = world.role("second", trust={"Principal": {"AWS": first}}, max_session_duration=43200)
    who = session(world, world.user("alice"), first, DurationSeconds=43200)

    assert lasts(assume(world, who, second, DurationSeconds=3600)) == 3600
    code, message = refusal(lambda: assume(world, who, second, DurationSeconds=3601))
    assert code == "ValidationError" and "role chaining" in message


def test_a_second_factor_and_a_provided_context_are_refused_and_not_ignored(world: World) -> None:
    role, alice = world.role("on-call", trust={"Principal": ALICE}), world.user("alice")
    mfa = {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/alice", "TokenCode": "123456"}
    code, message = refusal(lambda: assume(world, alice, role, **mfa))
    assert code == "AccessDenied" and "MultiFactorAuthentication failed" in message
    context = [{"ProviderArn": "arn:aws:iam::aws:contextProvider/X", "ContextAssertion": "xxxx"}]
    assert "ProvidedContexts" in refusal(lambda: assume(world, alice, role, ProvidedContexts=context))[1]


# --- session policies -------------------------------------------------------------------------------------


def test_a_session_policy_takes_away_and_gives_nothing(world: World) -> None:
    role = world.role("reader", DESCRIBE, trust={"Principal": ALICE})
    alice = world.user("alice")
    only = session(
        world,
        alice,
        role,
        Policy=document({"Effect": "Allow", "Action": "ec2:DescribeVpcs", "Resource": "*"}),
    )
    assert world.client("ec2", only).describe_vpcs()["Vpcs"]
    code, message = refusal(world.client("ec2", only).describe_subnets)
    assert code == "UnauthorizedOperation" and "no session policy allows" in message

    greedy = session(world, alice, role, Policy=document(ALL))
    assert world.client("ec2", greedy).describe_subnets()["Subnets"]
    assert denied(world.client("iam", greedy).list_users)


def test_a_managed_session_policy_binds_as_it_is_now(world: World) -> None:
    alice, iam_policy = world.user("alice"), world.managed_policy("vpcs", DESCRIBE)
    role = world.role("everything", ALL, trust={"Principal": ALICE})
    who = session(world, alice, role, PolicyArns=[{"arn": iam_policy}])
    assert world.client("ec2", who).describe_vpcs()["Vpcs"]
    assert denied(world.client("iam", who).list_users)

    world.change(lambda tx: tx.managed_policies.delete(iam_policy))
    assert denied(world.client("ec2", who).describe_vpcs)
    code, _ = refusal(lambda: assume(world, alice, role, PolicyArns=[{"arn": iam_policy}]))
    assert code == "ValidationError"


def test_a_session_that_is_restricted_reaches_no_role_that_its_policies_do_not_allow(world: World) -> None:
    first = world.role("first", ALL, trust={"Principal": ALICE})
    second = world.role("second", ALL, trust={"Principal": {"AWS": first}})
    alice = world.user("alice")
    restricted = session(world, alice, first, Policy=document(DESCRIBE))

    code, message = refusal(lambda: assume(world, restricted, second))
    assert code == "AccessDenied" and "no session policy allows the sts:AssumeRole action" in message
    session(world, session(world, alice, first), second)


def test_a_role_s_boundary_binds_its_sessions(world: World) -> None:
    boundary = world.managed_policy("vpcs", DESCRIBE)
    role = world.role("bound", ALL, trust={"Principal": ALICE}, permissions_boundary=boundary)
    who = session(world, world.user("alice"), role)
    assert world.client("ec2", who).describe_vpcs()["Vpcs"]
    assert "no permissions boundary allows" in refusal(world.client("iam", who).list_users)[1]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"Policy": "{}"}, "MalformedPolicyDocument"),
        ({"Policy": document({"Effect": "Allow", "Action": "*"})}, "MalformedPolicyDocument"),
        (
            {"Policy": document(*[DESCRIBE] * 40)},
            "PackedPolicyTooLarge",
        ),
        (
            {"PolicyArns": [{"arn": ARNS.managed_policy(f"x{i}")} for i in range(11)]},
            "ValidationError",
        ),
        ({"Tags": [{"Key": "Team", "Value": "a"}, {"Key": "team", "Value": "b"}]}, "ValidationError"),
        ({"Tags": [{"Key": "aws:x", "Value": "a"}]}, "ValidationError"),
        ({"TransitiveTagKeys": ["team"]}, "ValidationError"),
        ({"SourceIdentity": "aws:root"}, "ValidationError"),
    ],
)
def test_what_a_session_cannot_be_given_is_refused(world: World, more: Any, code: str) -> None:
    role = world.role("on-call", trust={"Principal": ALICE, "Action": "sts:*"})
    assert refusal(lambda: assume(world, world.user("alice"), role, **more))[0] == code


def test_the_room_for_policies_and_tags_is_told_and_bounded(world: World) -> None:
    role, alice = world.role("on-call", trust={"Principal": ALICE, "Action": TAGGING}), world.user("alice")
    assert "PackedPolicySize" not in assume(world, alice, role)
    one = [{"Key": "team", "Value": "web"}]
    assert 0 < assume(world, alice, role, Tags=one)["PackedPolicySize"] < 10
    many = [{"Key": f"{n}", "Value": "".join(chr(0x4E00 + (n * 997 + i * 31) % 20000) for i in range(256))}
            for n in range(50)]  # fmt: skip
    assert refusal(lambda: assume(world, alice, role, Tags=many))[0] == "PackedPolicyTooLarge"


def test_tags_that_pack_to_little_have_a_bound_too_for_gateways_keep_them_whole(world: World) -> None:
    role, alice = world.role("on-call", trust={"Principal": ALICE, "Action": TAGGING}), world.user("alice")

    def tags(letter: str) -> list[dict[str, str]]:
        return [{"Key": letter * 126 + f"{number:02}", "Value": letter * 256} for number in range(50)]

    # As many as there may be, as long as they may be.
    assert 90 < assume(world, alice, role, Tags=tags("a"))["PackedPolicySize"] <= 100
    assert refusal(lambda: assume(world, alice, role, Tags=tags("字")))[0] == "PackedPolicyTooLarge"


def test_a_token_is_as_long_as_asked_and_its_size_is_told(world: World) -> None:
    role, alice = world.role("on-call", trust={"Principal": ALICE}), world.user("alice")
    answer = assume(world, alice, role, MinimumSessionTokenSize=4096)
    assert len(answer["Credentials"]["SessionToken"]) == answer["SessionTokenSize"] == 4096
    assert answer["SessionTokenUtilization"] == 100
    who = Credentials.temporary(answer)
    assert world.client("sts", who).get_caller_identity()["Account"] == ACCOUNT


# --- tags and source identity -----------------------------------------------------------------------------


def test_session_tags_take_a_permission_of_their_own_and_go_before_the_role_s(world: World) -> None:
    by_tag = {**DESCRIBE, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "web"}}}
    alice, tags = world.user("alice"), [{"Key": "Team", "Value": "web"}]
    untagged = world.role("untagged", by_tag, trust={"Principal": ALICE})
    assert "sts:TagSession" in refusal(lambda: assume(world, alice, untagged, Tags=tags))[1]
    assert denied(world.client("ec2", session(world, alice, untagged)).describe_vpcs)

    role = world.role("tagged", by_tag, trust={"Principal": ALICE, "Action": TAGGING}, tags={"team": "db"})
    assert denied(world.client("ec2", session(world, alice, role)).describe_vpcs)
    assert world.client("ec2", session(world, alice, role, Tags=tags)).describe_vpcs()["Vpcs"]


def test_trust_may_ask_for_the_tags_of_the_call(world: World) -> None:
    trust = {
        "Principal": ALICE,
        "Action": TAGGING,
        "Condition": {
            "StringEquals": {"aws:RequestTag/team": "web"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["team"], "sts:TransitiveTagKeys": ["team"]},
        },
    }
    role, alice = world.role("on-call", trust=trust), world.user("alice")
    tag, other = {"Key": "team", "Value": "web"}, {"Key": "more", "Value": "x"}
    assert denied(lambda: assume(world, alice, role))
    assert denied(lambda: assume(world, alice, role, Tags=[tag, other]))
    session(world, alice, role, Tags=[tag], TransitiveTagKeys=["team"])


def test_a_transitive_tag_is_handed_down_and_no_later_session_changes_it(world: World) -> None:
    by_tag = {**DESCRIBE, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "web"}}}
    first = world.role("first", ASSUME, trust={"Principal": ALICE, "Action": TAGGING})
    trusting = {"Principal": {"AWS": first}, "Action": TAGGING}
    second = world.role("second", ASSUME, by_tag, trust=trusting, tags={"team": "db"})
    tags = [{"Key": "team", "Value": "web"}, {"Key": "here", "Value": "only"}]
    alice = world.user("alice")
    who = session(world, alice, first, Tags=tags, TransitiveTagKeys=["Team"])

    for other in ("team", "TEAM"):
        change = [{"Key": other, "Value": "admin"}]
        code, message = refusal(partial(assume, world, who, second, Tags=change))
        assert code == "ValidationError" and "transitive" in message
    assert world.client("ec2", session(world, who, second)).describe_vpcs()["Vpcs"]
    with world.store.read() as tx:
        (last,) = tx.sessions.find(owner_name="second")
    assert last.session_tags == {"team": "web"} and last.transitive_tag_keys == ("team",) and last.chained

    untagging = world.role("untagging", trust={"Principal": {"AWS": first}})
    assert "sts:TagSession" in refusal(lambda: assume(world, who, untagging))[1]
    plain = session(world, alice, first, Tags=tags)
    session(world, plain, untagging)


def test_a_chain_of_roles_gathers_no_more_tags_than_a_session_may_have(world: World) -> None:
    first = world.role("first", ASSUME, trust={"Principal": ALICE, "Action": TAGGING})
    second = world.role("second", trust={"Principal": {"AWS": first}, "Action": TAGGING})
    tags = [{"Key": f"key{number}", "Value": "x"} for number in range(50)]
    who = session(
        world, world.user("alice"), first, Tags=tags, TransitiveTagKeys=[tag["Key"] for tag in tags]
    )
    answer = assume(world, who, second)
    assert answer["PackedPolicySize"] > 5
    code, message = refusal(lambda: assume(world, who, second, Tags=[{"Key": "more", "Value": "x"}]))
    assert code == "ValidationError" and "A session may have 50 tags" in message


def test_a_source_identity_takes_a_permission_and_stays_through_chaining(world: World) -> None:
    actions = ["sts:AssumeRole", "sts:SetSourceIdentity"]
    first = world.role("first", ASSUME, trust={"Principal": ALICE, "Action": actions})
    second = world.role("second", ALL, trust={"Principal": {"AWS": first}, "Action": actions})
    mute = world.role("mute", trust={"Principal": {"AWS": first}})
    alice = world.user("alice")
    who = session(world, alice, first, SourceIdentity="alice")

    answer = assume(world, who, second)
    assert answer["SourceIdentity"] == "alice"
    assert refusal(lambda: assume(world, who, second, SourceIdentity="bob"))[0] == "ValidationError"
    assert "sts:SetSourceIdentity" in refusal(lambda: assume(world, who, mute))[1]
    session(world, session(world, alice, first), mute)
    world.client("ec2", Credentials.temporary(answer)).describe_vpcs()
    (event,) = world.events("DescribeVpcs")
    assert event["userIdentity"]["sessionContext"]["sourceIdentity"] == "alice"


# --- what is recorded, and what gateways get --------------------------------------------------------------


def test_the_trail_tells_of_the_session_and_keeps_nothing_that_signs(world: World) -> None:
    role, alice = world.role("on-call", ALL, trust={"Principal": ALICE}, path="/ops/"), world.user("alice")
    who = session(world, alice, role)
    world.client("ec2", who).describe_vpcs()

    (assumed,) = world.events("AssumeRole")
    assert assumed["userIdentity"]["type"] == "IAMUser"
    assert assumed["requestParameters"] == {"roleArn": role, "roleSessionName": "work"}
    told = assumed["responseElements"]
    assert told["credentials"].keys() == {"accessKeyId", "expiration"}
    assert told["assumedRoleUser"]["arn"] == ARNS.assumed_role("on-call", "work")
    assert assumed["resources"] == [{"accountId": ACCOUNT, "type": "AWS::IAM::Role", "ARN": role}]
    assert assumed["additionalEventData"]["decision"]["checks"][0]["named"] == "principal"
    (described,) = world.events("DescribeVpcs")
    identity = described["userIdentity"]
    context = identity.pop("sessionContext")
    role_id = identity["principalId"].partition(":")[0]
    assert identity == {
        "type": "AssumedRole",
        "principalId": f"{role_id}:work",
        "arn": ARNS.assumed_role("on-call", "work"),
        "accountId": ACCOUNT,
        "accessKeyId": who.access_key_id,
    }
    assert context["sessionIssuer"] == {
        "type": "Role",
        "principalId": role_id,
        "arn": role,
        "accountId": ACCOUNT,
        "userName": "on-call",
    }
    assert context["attributes"]["mfaAuthenticated"] == "false"
    with world.store.read() as tx:
        (record,) = tx.audit_records.find(event_name="DescribeVpcs")
        everything = repr([*tx.audit_records.find(), *tx.sessions.find()])
    assert record.user_name == "work"
    assert who.token and who.token not in everything and who.secret not in everything


def test_signing_keys_for_gateways_are_there_with_the_session_if_it_may_open_tunnels(world: World) -> None:
    alice = world.user("alice")
    tunnels = world.role("tunnels", TUNNELS, trust={"Principal": ALICE})
    reader = world.role("reader", DESCRIBE, trust={"Principal": ALICE})
    able = session(world, alice, tunnels)
    session(world, alice, reader)
    session(world, alice, tunnels, Policy=document(DESCRIBE))

    with world.store.read() as tx:
        rows = tx.sealed_signing_keys.find()
    assert {row.access_key_id for row in rows} == {able.access_key_id}
    assert f"{datetime.now(UTC):%Y%m%d}" in {row.date for row in rows}
    assert {row.service for row in rows} == {GATEWAY_SERVICE}


def test_a_role_has_so_many_sessions_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuing, "MOST_SESSIONS", 2)
    role, alice = world.role("on-call", trust={"Principal": ALICE}), world.user("alice")
    for _ in range(2):
        session(world, alice, role)
    assert refusal(lambda: assume(world, alice, role))[0] == "LimitExceeded"
    other = world.role("other", trust={"Principal": ALICE})
    session(world, alice, other)


def test_one_user_makes_no_more_of_a_roles_sessions_than_leave_room_for_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "MOST_SESSIONS_OF_ONE", 2)
    first = world.role("first", ASSUME, trust={"Principal": ALICE})
    role = world.role("on-call", trust={"Principal": {"AWS": [ALICE["AWS"], BOB["AWS"], first]}})
    alice, bob = world.user("alice"), world.user("bob")
    by_way = session(world, alice, first)
    session(world, alice, role)
    session(world, by_way, role, "another-name")
    for who in (alice, by_way, Credentials.temporary(world.client("sts", alice).get_session_token())):
        code, message = refusal(partial(assume, world, who, role))
        assert code == "LimitExceeded" and "2 sessions of on-call that you have made" in message
    session(world, bob, role)


def test_one_user_makes_so_many_sessions_of_all_roles_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuing, "MOST_SESSIONS_OF_ONE_IN_ALL", 3)
    roles = [world.role(f"role-{number}", trust={"Principal": {"AWS": ACCOUNT}}) for number in range(4)]
    alice, bob = world.user("alice", ASSUME), world.user("bob", ASSUME)
    for role in roles[:3]:
        session(world, alice, role)
    code, message = refusal(partial(assume, world, alice, roles[3]))
    assert code == "LimitExceeded" and "3 sessions of all roles together that you have made" in message
    session(world, bob, roles[3])
