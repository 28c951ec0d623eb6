"""Who is told why a call was refused: one's own denials, and others', where policies say so."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, Credentials, World

from hatchway.control.hatchway_service import denials
from hatchway.domain.ids import Kind, derived_id

ALICE, BOB = ARNS.user("alice"), ARNS.user("bob")


def may_ask(resource: str) -> Mapping[str, Any]:
    return {"Effect": "Allow", "Action": "hatchway:ExplainDenial", "Resource": resource}


OWN = may_ask("arn:aws:iam::123456789012:user/${aws:username}")


def be_refused(world: World, user: Credentials, service: str = "ec2") -> str:
    """The refused request's id."""
    client = world.client(service, user)
    with pytest.raises(ClientError) as caught:
        client.describe_vpcs() if service == "ec2" else client.list_tunnels()
    return str(caught.value.response["ResponseMetadata"]["RequestId"])


def explain(world: World, user: Credentials, request_id: str | None = None) -> Any:
    asked = {} if request_id is None else {"RequestId": request_id}
    return world.client("hatchway", user).explain_denial(**asked)["Denial"]


def error(world: World, user: Credentials, request_id: str | None = None) -> Mapping[str, str]:
    with pytest.raises(ClientError) as caught:
        explain(world, user, request_id)
    told: Mapping[str, str] = caught.value.response["Error"]
    return told


def test_who_may_is_told_why_his_latest_call_was_refused(world: World) -> None:
    alice, bob = world.user("alice", OWN), world.user("bob")
    be_refused(world, alice)
    latest = be_refused(world, alice, "hatchway")
    be_refused(world, bob)
    world.client("sts", alice).get_caller_identity()
    told = explain(world, alice)
    assert (told["RequestId"], told["EventName"], told["PrincipalArn"]) == (latest, "ListTunnels", ALICE)
    assert told["ErrorCode"] == "AccessDeniedException"
    (event,) = world.events("ListTunnels")
    assert json.loads(told["CloudTrailEvent"]) == event
    assert event["additionalEventData"]["decision"]["checks"][0]["action"] == "hatchway:ListTunnels"


def test_one_s_own_request_takes_the_permission_on_oneself(world: World) -> None:
    alice, bob = world.user("alice", OWN), world.user("bob")
    mine, his = be_refused(world, alice), be_refused(world, bob)
    assert explain(world, alice, mine)["RequestId"] == mine
    # Nor does it tell whether there is such a request.
    assert error(world, alice, his)["Code"] == "AccessDeniedException"
    refused = {
        text.partition(" (request id ")[0]
        for text in (error(world, alice, his)["Message"], error(world, alice, "no-such-request")["Message"])
    }
    assert len(refused) == 1
    assert "hatchway:ExplainDenial on resource: *" in refused.pop()
    assert error(world, bob)["Code"] == error(world, bob, his)["Code"] == "AccessDeniedException"


def test_others_denials_take_the_permission_on_everything(world: World) -> None:
    alice, bob = world.user("alice", may_ask("*")), world.user("bob")
    his = be_refused(world, bob)
    assert explain(world, alice, his)["PrincipalArn"] == BOB
    assert explain(world, world.root, his)["PrincipalArn"] == BOB
    assert error(world, alice, "no-such-request")["Code"] == "ResourceNotFoundException"
    # On each user is not on everything.
    world.allow("alice", may_ask("arn:aws:iam::123456789012:user/*"))
    assert error(world, alice, his)["Code"] == "AccessDeniedException"


def test_the_beginning_of_an_id_means_one_s_own_requests_first(world: World) -> None:
    alice, bob = world.user("alice", OWN), world.user("bob")
    mine, his = be_refused(world, alice), be_refused(world, bob)
    assert explain(world, alice, mine[:-1])["RequestId"] == mine
    # Nor does it tell whether another's begins so.
    assert error(world, alice, his[:-1])["Code"] == "AccessDeniedException"
    assert explain(world, world.root, his[:-1])["RequestId"] == his
    others = [be_refused(world, alice) for _ in range(33)]
    several = next(each[0] for each in others if [one[0] for one in others].count(each[0]) > 1)
    told = error(world, alice, several)
    assert (told["Code"], "write more of the id" in told["Message"]) == ("ValidationException", True)
    assert his not in told["Message"]


def test_a_question_that_was_refused_is_not_the_latest_denial(world: World) -> None:
    alice = world.user("alice")
    refused = be_refused(world, alice)
    assert error(world, alice)["Code"] == "AccessDeniedException"
    world.allow("alice", OWN)
    assert explain(world, alice)["RequestId"] == refused


def test_a_successor_of_the_same_name_is_not_told_of_his_predecessor(world: World) -> None:
    alice = world.user("alice", OWN)
    refused = be_refused(world, alice)
    world.change(lambda tx: tx.users.delete("alice"))
    world.client("iam").create_user(UserName="alice")
    key = world.client("iam").create_access_key(UserName="alice")["AccessKey"]
    successor = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    world.allow("alice", OWN)
    assert error(world, successor)["Code"] == "ResourceNotFoundException"
    assert error(world, successor, refused)["Code"] == "AccessDeniedException"


def test_only_so_many_events_are_looked_through(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = world.user("alice", OWN)
    be_refused(world, alice)
    monkeypatch.setattr(denials, "NEWEST", 3)
    assert explain(world, alice)["EventName"] == "DescribeVpcs"
    for _ in range(3):
        world.client("sts", alice).get_caller_identity()
    assert error(world, alice)["Code"] == "ResourceNotFoundException"


def test_the_trail_is_looked_through_by_one_call_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = world.user("alice", OWN)
    mine = be_refused(world, alice)
    monkeypatch.setattr(denials._turns, "longest_wait", 0.01)
    with denials._turns.one():
        for request_id in (None, mine[:8]):
            told = error(world, alice, request_id)
            assert told["Code"] == "ThrottlingException"
            assert "Too many calls look through the audit trail" in told["Message"]
        assert explain(world, alice, mine)["RequestId"] == mine
        # Nobody who may not ask has any of it looked for.
        assert error(world, world.user("bob"))["Code"] == "AccessDeniedException"
    assert explain(world, alice)["RequestId"] == mine


def test_of_one_caller_s_questions_few_wait_for_their_turn(world: World) -> None:
    alice, bob = world.user("alice", OWN), world.user("bob", OWN)
    mine = be_refused(world, alice)
    be_refused(world, bob)
    caller = derived_id(Kind.USER, ACCOUNT, "alice")
    with denials._looking.one_more(caller), denials._looking.one_more(caller):
        assert error(world, alice)["Code"] == "ThrottlingException"
        assert explain(world, bob)["PrincipalArn"] == BOB
    assert explain(world, alice)["RequestId"] == mine


@pytest.mark.parametrize("request_id", ["", "x" * 65, "a b", "%"])
def test_what_is_no_request_id_is_refused(world: World, request_id: str) -> None:
    body = json.dumps({"RequestId": request_id}).encode()
    headers = {"X-Amz-Target": "Hatchway.ExplainDenial", "Content-Type": "application/x-amz-json-1.1"}
    answer = world.send(headers=headers, body=body, service="hatchway")
    assert (answer.status, "ValidationException" in answer.text) == (400, True)
