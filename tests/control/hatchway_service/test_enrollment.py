"""Host tokens by the API, and hosts that register themselves by an enrollment token."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from tests.control.harness import (
    ARNS,
    DEFAULT_GROUP,
    INSTANCE,
    OTHER_DEFAULT_GROUP,
    SSH_GROUP,
    SUBNET,
    Answer,
    World,
)
from tests.control.hatchway_service.refusals import allow, refused

from hatchway.control.hatchway_service import enrollment
from hatchway.control.housekeeping.purges import purge_enrollment_tokens
from hatchway.control.housekeeping.tasks import record_refusals
from hatchway.domain.account import ApiAddress
from hatchway.domain.machine import Machine, Role

QUESTION = "/host/v1/authorized-keys?user=root&fingerprint=SHA256:" + "A" * 43


@pytest.fixture
def client(world: World) -> Any:
    return world.client("hatchway")


def ask(world: World, token: str) -> int:
    return world.send("GET", QUESTION, {"Authorization": f"Bearer {token}"}).status


def enroll(world: World, token: str, **wanted: Any) -> Answer:
    body = json.dumps({"name": "web-7", "private_ip": "10.0.1.7", **wanted}).encode()
    return world.send("POST", "/host/v1/enroll", {"Authorization": f"Bearer {token}"}, body)


# --- host tokens ------------------------------------------------------------------------------------------


def test_a_host_is_enrolled_and_its_next_token_takes_over_when_it_is_used(world: World, client: Any) -> None:
    first = client.enroll_host(InstanceId=INSTANCE)
    assert (first["InForce"], first["Replaced"]) == (True, False)
    assert ask(world, first["HostToken"]) == 200
    second = client.enroll_host(InstanceId=INSTANCE)
    assert (second["InForce"], second["Replaced"]) == (False, False)
    assert ask(world, first["HostToken"]) == 200
    third = client.enroll_host(InstanceId=INSTANCE, AtOnce=True)
    assert (third["InForce"], third["Replaced"]) == (True, True)
    assert [ask(world, each["HostToken"]) for each in (first, second, third)] == [401, 401, 200]
    trail = json.dumps(world.events())
    assert not any(each["HostToken"] in trail for each in (first, second, third))


def test_enrolling_is_allowed_by_the_host_s_tags_and_tells_nobody_else_what_there_is(world: World) -> None:
    key = world.user(
        "alice",
        allow(
            "hatchway:EnrollHost", resource=ARNS.instance("*"), StringEquals={"aws:ResourceTag/env": "dev"}
        ),
    )
    alice = world.client("hatchway", key)
    alice.enroll_host(InstanceId=INSTANCE)
    for instance_id in ("i-0000000000000000b", "i-00000000ff"):
        given = {"InstanceId": instance_id}
        refused(lambda given=given: alice.enroll_host(**given), "AccessDeniedException")  # type: ignore[misc]
    refused(
        lambda: world.client("hatchway").enroll_host(InstanceId="i-00000000ff"), "ResourceNotFoundException"
    )


# --- enrollment tokens ------------------------------------------------------------------------------------


def test_a_host_registers_itself_and_is_known_by_the_token_that_it_gets(world: World, client: Any) -> None:
    made = client.create_enrollment_token(
        SubnetId=SUBNET, SecurityGroupIds=[SSH_GROUP], Tags=[{"Key": "env", "Value": "dev"}]
    )
    about = made["EnrollmentToken"]
    assert (about["MaxUses"], about["Uses"], about["CreatedBy"]) == (1, 0, ARNS.root)
    assert about["ExpiresAt"] - about["CreatedAt"] == timedelta(hours=1)
    answer = enroll(world, made["Token"], instance_type="rack.r640")
    assert answer.status == 200, answer.text
    told = json.loads(answer.text)
    assert ask(world, told["token"]) == 200
    with world.store.read() as tx:
        host = tx.instances.get(told["instance_id"])
    assert host is not None
    assert (host.name, host.subnet_id, host.private_ip, host.security_group_ids, host.instance_type) == (
        "web-7",
        SUBNET,
        "10.0.1.7",
        (SSH_GROUP,),
        "rack.r640",
    )
    assert host.tags == {"Name": "web-7", "env": "dev"}
    (event,) = world.events("RegisterHost")
    assert event["requestParameters"]["createdBy"] == ARNS.root
    assert event["responseElements"] == {"instanceId": host.id, "use": 1}
    trail = json.dumps(world.events())
    assert made["Token"] not in trail
    assert told["token"] not in trail
    assert client.list_enrollment_tokens()["EnrollmentTokens"][0]["Uses"] == 1
    # It was good for one.
    assert enroll(world, made["Token"], name="web-8", private_ip="10.0.1.8").status == 401


def test_hosts_that_come_at_once_are_no_more_than_the_token_is_good_for(world: World, client: Any) -> None:
    token = client.create_enrollment_token(SubnetId=SUBNET, MaxUses=2)["Token"]
    answers: list[int] = []

    def come(number: int) -> None:
        answer = enroll(world, token, name=f"web-{number}", private_ip=f"10.0.1.{number}")
        answers.append(answer.status)

    hosts = [threading.Thread(target=come, args=(number,)) for number in range(20, 23)]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join()
    assert sorted(answers) == [200, 200, 401]


def test_a_registration_that_is_refused_uses_nothing_up_and_takes_nobody_s_place(
    world: World, client: Any
) -> None:
    token = client.create_enrollment_token(SubnetId=SUBNET)["Token"]
    world.client("ec2").create_tags(Resources=[INSTANCE], Tags=[{"Key": "Name", "Value": "called-so"}])
    for wanted, status in (
        ({"name": "web-1"}, 409),
        ({"private_ip": "10.0.1.1"}, 409),
        ({"private_ip": "10.0.2.7"}, 400),
        ({"private_ip": 7}, 400),
        ({"name": ""}, 400),
        ({"colour": "red"}, 400),
        ({"name": "\ud800"}, 400),
        ({"private_ip": "\ud800"}, 400),
        ({"name": "called-so"}, 409),
        ({"name": "x" * 5000}, 413),
    ):
        assert enroll(world, token, **wanted).status == status, wanted
    headers = {"Authorization": f"Bearer {token}"}
    for body in (b"", b"[]", b"{}", b"\xff", b"[" * 4000):
        assert world.send("POST", "/host/v1/enroll", headers, body).status == 400
    # The tests' own address is in no subnet.
    assert "127.0.0.1 is not within" in world.send("POST", "/host/v1/enroll", headers, b'{"name": "a"}').text
    assert enroll(world, token).status == 200


def test_a_host_that_registers_itself_is_no_machine_of_hatchway_s_own(world: World, client: Any) -> None:
    """Tunnels would lead there, which they do not unless an instance is registered."""
    token = client.create_enrollment_token(SubnetId=SUBNET)["Token"]
    now = world.clock()
    gateway = Machine(
        id="m-0", name="gw1", role=Role.GATEWAY, names=(), joined_at=now, seen_at=now, seen_from="10.0.1.9"
    )
    world.change(lambda tx: tx.api_addresses.put(ApiAddress(address="10.0.1.8", seen_at=now)))
    world.change(lambda tx: tx.machines.put(gateway))
    for address in ("10.0.1.8", "10.0.1.9"):
        answer = enroll(world, token, private_ip=address)
        assert answer.status == 409
        assert f"{address} is that of a machine of Hatchway's own" in answer.text
    assert not world.events("RegisterHost")
    # Who may register instances may do so.
    client.register_instance(Name="cp1", SubnetId=SUBNET, PrivateIpAddress="10.0.1.8")
    assert enroll(world, token).status == 200


def test_that_a_host_registered_itself_is_kept_whatever_is_said_of_it_later(
    world: World, client: Any
) -> None:
    """Gateways open to it no address that they keep tunnels away from."""
    token = client.create_enrollment_token(SubnetId=SUBNET)["Token"]
    instance_id = json.loads(enroll(world, token).text)["instance_id"]

    def kept() -> bool:
        with world.store.read() as tx:
            found = tx.instances.get(instance_id)
        assert found is not None
        return found.registered_itself

    assert kept()
    client.modify_instance(InstanceId=instance_id, PrivateIpAddress="10.0.1.8")
    assert kept()
    client.apply_fleet(FleetFile=client.export_fleet()["FleetFile"])
    assert kept()
    client.deregister_instance(InstanceId=instance_id)
    client.register_instance(Name="web-7", SubnetId=SUBNET, PrivateIpAddress="10.0.1.8")
    assert not kept()


def test_what_is_no_good_token_is_refused_alike(world: World, client: Any) -> None:
    made = client.create_enrollment_token(SubnetId=SUBNET, LifetimeSeconds=60)
    token = made["Token"]
    host_token = client.enroll_host(InstanceId=INSTANCE)["HostToken"]
    other = client.create_enrollment_token(SubnetId=SUBNET)["Token"]
    client.delete_enrollment_token(EnrollmentTokenId=other[4:24])
    mixed = f"{token[:25]}{other[25:]}"
    answers = [enroll(world, each) for each in ("", "hwe_x", host_token, other, mixed)]
    answers.append(world.send("POST", "/host/v1/enroll", {"Authorization": f"Basic {token}"}, b"{}"))
    world.clock.ahead = timedelta(seconds=61)
    answers.append(enroll(world, token))
    assert {answer.status for answer in answers} == {401}
    assert len({answer.text.partition("(request")[0] for answer in answers}) == 1
    world.change(lambda tx: purge_enrollment_tokens(tx, world.clock()))
    with world.store.read() as tx:
        assert not tx.enrollment_tokens.find()


def test_a_token_whose_subnet_is_gone_registers_nobody(world: World, client: Any) -> None:
    token = client.create_enrollment_token(SubnetId=SUBNET)["Token"]
    world.change(lambda tx: tx.subnets.delete(SUBNET))
    assert enroll(world, token).status == 409


def test_tokens_are_listed_in_pages_without_their_secrets_and_ended(client: Any) -> None:
    made = {
        client.create_enrollment_token(SubnetId=SUBNET)["EnrollmentToken"]["EnrollmentTokenId"]
        for _ in range(3)
    }
    pages = list(client.get_paginator("list_enrollment_tokens").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["EnrollmentTokens"]) for page in pages] == [2, 1]
    assert {each["EnrollmentTokenId"] for page in pages for each in page["EnrollmentTokens"]} == made
    for token_id in made:
        client.delete_enrollment_token(EnrollmentTokenId=token_id)
    assert client.list_enrollment_tokens()["EnrollmentTokens"] == []
    refused(lambda: client.delete_enrollment_token(EnrollmentTokenId=made.pop()), "ResourceNotFoundException")
    refused(lambda: client.list_enrollment_tokens(NextToken="x"), "ValidationException")


def test_a_token_is_for_a_place_that_there_is_and_there_are_only_so_many(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, code in (
        ({"SubnetId": "subnet-x"}, "ResourceNotFoundException"),
        ({"SubnetId": SUBNET, "SecurityGroupIds": ["sg-x"]}, "ResourceNotFoundException"),
        ({"SubnetId": SUBNET, "SecurityGroupIds": [OTHER_DEFAULT_GROUP]}, "ValidationException"),
        (
            {"SubnetId": SUBNET, "Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]},
            "ValidationException",
        ),
    ):
        refused(lambda given=given: client.create_enrollment_token(**given), code)  # type: ignore[misc]
    monkeypatch.setattr(enrollment, "MOST_TOKENS", 1)
    client.create_enrollment_token(SubnetId=SUBNET, SecurityGroupIds=[DEFAULT_GROUP])
    refused(lambda: client.create_enrollment_token(SubnetId=SUBNET), "LimitExceededException")


@pytest.mark.parametrize(
    "keys", [["aws:owner"], ["AWS:owner"], [f"k{number}" for number in range(50)]], ids=len
)
def test_a_token_has_no_tags_with_which_nobody_could_register(client: Any, keys: list[str]) -> None:
    tags = [{"Key": key, "Value": "v"} for key in keys]
    refused(lambda: client.create_enrollment_token(SubnetId=SUBNET, Tags=tags), "ValidationException")


def test_a_token_may_have_all_the_tags_that_an_instance_may(world: World, client: Any) -> None:
    tags = [{"Key": key, "Value": "v"} for key in ("Name", *(f"k{number}" for number in range(49)))]
    token = client.create_enrollment_token(SubnetId=SUBNET, Tags=tags)["Token"]
    assert enroll(world, token).status == 200


def test_a_token_is_made_by_whom_its_subnet_and_tags_allow(world: World) -> None:
    key = world.user(
        "alice",
        allow(
            "hatchway:CreateEnrollmentToken",
            resource=ARNS.subnet(SUBNET),
            StringEquals={"aws:RequestTag/env": "dev"},
        ),
    )
    alice = world.client("hatchway", key)
    tags = [{"Key": "env", "Value": "dev"}]
    # Whoever registers by it gets an instance these tags.
    refused(lambda: alice.create_enrollment_token(SubnetId=SUBNET, Tags=tags), "AccessDeniedException")
    world.allow("alice", allow("hatchway:*"), allow("ec2:CreateTags", resource=ARNS.instance("*")))
    alice.create_enrollment_token(SubnetId=SUBNET, Tags=tags)
    world.allow(
        "alice",
        allow(
            "hatchway:CreateEnrollmentToken",
            resource=ARNS.subnet(SUBNET),
            StringEquals={"aws:RequestTag/env": "dev"},
        ),
    )
    refused(lambda: alice.create_enrollment_token(SubnetId=SUBNET), "AccessDeniedException")
    refused(alice.list_enrollment_tokens, "AccessDeniedException")
    refused(
        lambda: alice.delete_enrollment_token(EnrollmentTokenId="et-00000000000000000"),
        "AccessDeniedException",
    )


def test_a_tag_of_the_token_s_may_be_called_name(world: World, client: Any) -> None:
    made = client.create_enrollment_token(SubnetId=SUBNET, Tags=[{"Key": "name", "Value": "farm"}])
    answer = enroll(world, made["Token"])
    assert answer.status == 200, answer.text
    with world.store.read() as tx:
        (instance,) = tx.instances.find(name="web-7")
    assert (instance.name, instance.tags) == ("web-7", {"name": "farm"})


def test_the_trail_counts_registrations_that_are_refused(world: World, client: Any) -> None:
    token = client.create_enrollment_token(SubnetId=SUBNET)["Token"]
    for wanted in ({"name": "web-1"}, {"name": ""}):
        enroll(world, token, **wanted)
    enroll(world, f"{token}x")
    record_refusals(world.plane)
    (event,) = world.events("RefusedCalls")
    told = event["additionalEventData"]["refusals"]
    assert told["eventNames"] == {"RegisterHost": 3}
    assert told["errorCodes"] == {"ConflictException": 1, "ValidationException": 1, "AccessDenied": 1}
