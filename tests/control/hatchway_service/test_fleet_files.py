"""The account as a fleet file, by the API."""

import gzip
import json
from itertools import count
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from tests.control.harness import INSTANCE, SUBNET, World
from tests.control.hatchway_service.refusals import allow, refused

from hatchway.account.fleet import PLANS
from hatchway.control.hatchway_service import fleet_files
from hatchway.control.hatchway_service.fleet_files import LARGEST_FILE
from hatchway.domain.identity import Guardrail
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.plan import make_plan

FILE = b"""
vpcs:
  site:
    cidr: 10.9.0.0/16
    subnets: {rack: {cidr: 10.9.1.0/24}}
instances:
  web-1: {id: i-0000000000000000a, subnet: office/web, private_ip: 10.0.1.2, security_groups: [office/ssh-in]}
  rack-1: {subnet: site/rack, private_ip: 10.9.1.1}
"""


@pytest.fixture
def client(world: World) -> Any:
    return world.client("hatchway")


def lines(plan: Any) -> list[str]:
    return [f"{change['Action']} {change['Kind']} {change['Name']}" for change in plan["Changes"]]


def test_a_plan_tells_what_a_file_would_change_and_changes_nothing(world: World, client: Any) -> None:
    plan = client.plan_fleet(FleetFile=FILE)["Plan"]
    assert lines(plan) == [
        "create vpc site",
        "create subnet site/rack",
        "create security group site/default",
        "create instance rack-1",
        "change instance web-1",
    ]
    fields = {each["Field"]: (each["Old"], each["New"]) for each in plan["Changes"][4]["Fields"]}
    assert fields["private_ip"] == ('"10.0.1.1"', '"10.0.1.2"')
    assert fields["tags.env"] == ('"dev"', "null")
    with world.store.read() as tx:
        assert len(tx.vpcs.find()) == 2


def test_a_file_is_applied_and_the_trail_tells_of_each_thing(world: World, client: Any) -> None:
    plan = client.apply_fleet(FleetFile=gzip.compress(FILE))["Plan"]
    assert plan["Unchanged"] == 0
    assert len(plan["Changes"]) == 5
    with world.store.read() as tx:
        assert [instance.private_ip for instance in tx.instances.find(id=INSTANCE)] == ["10.0.1.2"]
    again = client.apply_fleet(FleetFile=FILE)["Plan"]
    assert (again["Changes"], again["Unchanged"]) == ([], 4)
    first, second = world.events("ApplyFleet")
    assert first["responseElements"] == {"created": 4, "changed": 1, "deleted": 0, "unchanged": 0}
    assert "~ instance web-1 (i-0000000000000000a)" in first["additionalEventData"]["changes"]
    assert first["additionalEventData"]["decision"]
    assert len(first["additionalEventData"]["fileSha256"]) == 64
    assert first["requestParameters"]["fleetFile"].endswith(" bytes")
    assert second["responseElements"]["created"] == 0


def test_what_an_export_gives_changes_nothing_when_it_is_applied(client: Any) -> None:
    plain = client.export_fleet()["FleetFile"]
    assert gzip.decompress(client.export_fleet(Compression="GZIP")["FleetFile"]) == plain
    assert set(yaml.safe_load(plain)["instances"]) == {"web-1", "db-1"}
    plan = client.apply_fleet(FleetFile=plain, Prune=True)["Plan"]
    assert plan["Changes"] == []


def test_every_problem_of_a_file_is_told_with_its_place(client: Any) -> None:
    file = b"instances: {a: {subnet: office/wbe, private_ip: 10.0.1.7}, b: {colour: red}}"
    with pytest.raises(ClientError) as caught:
        client.apply_fleet(FleetFile=file)
    places = {problem["Place"] for problem in caught.value.response["Problems"]}
    assert places == {"instances.a.subnet", "instances.b", "instances.b.colour"}
    assert "(and" in refused(lambda: client.plan_fleet(FleetFile=file), "InvalidFleetException")
    refused(lambda: client.plan_fleet(FleetFile=b"a: ["), "InvalidFleetException")


def test_a_policy_that_is_the_path_of_a_file_is_refused(client: Any) -> None:
    message = refused(
        lambda: client.apply_fleet(FleetFile=b"policies: {p: /etc/shadow}"), "InvalidFleetException"
    )
    assert "cannot be read here" in message


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b" " * (LARGEST_FILE + 1)),
        gzip.compress(FILE)[:-9],
        b"\x1f\x8bnot gzip",
    ],
    ids=["a bomb", "cut short", "no gzip"],
)
def test_what_is_no_file_of_a_size_that_is_read_is_refused(client: Any, content: bytes) -> None:
    refused(lambda: client.plan_fleet(FleetFile=content), "ValidationException")


def test_a_large_file_is_taken_and_one_beyond_the_limit_is_not(client: Any) -> None:
    padding = b"# " + b"x" * 500_000 + b"\n"
    assert lines(client.plan_fleet(FleetFile=padding + FILE)["Plan"])[0] == "create vpc site"
    refused(lambda: client.list_tunnels(PrincipalArn="x" * 100_000), "RequestEntityTooLarge")
    refused(lambda: client.plan_fleet(FleetFile=b"x" * 900_000), "RequestEntityTooLarge")


def test_many_names_in_a_large_document_are_refused_unread(world: World) -> None:
    body = json.dumps({"FleetFile": "", **{f"n{number}": 0 for number in range(20_000)}}).encode()
    headers = {"X-Amz-Target": "Hatchway.PlanFleet", "Content-Type": "application/x-amz-json-1.1"}
    answer = world.send(headers=headers, body=body, service="hatchway")
    assert answer.status == 413


def test_the_permission_is_on_no_resource_but_the_account_and_may_exclude_pruning(world: World) -> None:
    key = world.user(
        "alice",
        allow("hatchway:ApplyFleet", Bool={"hatchway:Prune": "false"}),
        allow("hatchway:*", resource="arn:aws:hatchway:us-east-1:123456789012:tunnel/*"),
    )
    alice = world.client("hatchway", key)
    refused(lambda: alice.apply_fleet(FleetFile=FILE, DryRun=True), "DryRunOperation")
    alice.apply_fleet(FleetFile=FILE)
    for call in (
        lambda: alice.apply_fleet(FleetFile=FILE, Prune=True),
        lambda: alice.plan_fleet(FleetFile=FILE),
        alice.export_fleet,
    ):
        refused(call, "AccessDeniedException")
    # Nothing of what a file says is looked at for whoever may not apply it.
    refused(lambda: alice.plan_fleet(FleetFile=b"a: ["), "AccessDeniedException")


def test_neither_a_boundary_nor_a_guardrail_lets_a_file_be_applied_that_denies_it(world: World) -> None:
    root = world.client("iam")
    everything_else = {"Effect": "Allow", "NotAction": "hatchway:ApplyFleet", "Resource": "*"}
    arn = root.create_policy(
        PolicyName="all-but-files",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": everything_else}),
    )["Policy"]["Arn"]
    bounded = world.client("hatchway", world.user("bounded", allow("hatchway:*")))
    root.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=arn)
    assert bounded.plan_fleet(FleetFile=FILE)["Plan"]["Changes"]
    refused(lambda: bounded.apply_fleet(FleetFile=FILE), "AccessDeniedException")

    admin = world.client("hatchway", world.user("admin", allow("*")))
    world.change(lambda tx: tx.guardrails.put(Guardrail(policy_arn=arn)))
    refused(lambda: admin.apply_fleet(FleetFile=FILE), "AccessDeniedException")
    world.change(lambda tx: tx.guardrails.delete(arn))
    assert admin.apply_fleet(FleetFile=FILE)["Plan"]["Changes"]


def test_what_another_changes_between_planning_and_writing_is_not_undone(
    world: World, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = make_plan

    def late(*arguments: Any, **named: Any) -> Any:
        plan = prepared(*arguments, **named)
        monkeypatch.setattr(fleet_files, "make_plan", prepared)
        world.client("hatchway").register_instance(Name="x", SubnetId=SUBNET, PrivateIpAddress="10.0.1.2")
        return plan

    monkeypatch.setattr(fleet_files, "make_plan", late)
    message = refused(lambda: client.apply_fleet(FleetFile=FILE), "InvalidFleetException")
    assert "10.0.1.2 is the address of" in message


def test_a_plan_that_comes_late_is_made_again_while_others_may_write_and_at_last_while_none_may(
    world: World, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared, made, parsed = make_plan, count(1), []
    parse = parse_fleet

    def late(*arguments: Any, **named: Any) -> Any:
        plan = prepared(*arguments, **named)
        number = next(made)
        # In the transaction of the last one nobody else could.
        if number <= PLANS:
            world.client("iam").create_user(UserName=f"u{number}")
        return plan

    def noted(*arguments: Any, **named: Any) -> Any:
        parsed.append(arguments)
        return parse(*arguments, **named)

    monkeypatch.setattr(fleet_files, "make_plan", late)
    monkeypatch.setattr(fleet_files, "parse_fleet", noted)
    assert client.apply_fleet(FleetFile=FILE)["Plan"]["Changes"]
    assert (next(made) - 1, len(parsed)) == (PLANS + 1, 1)
    assert not client.plan_fleet(FleetFile=FILE)["Plan"]["Changes"]


def test_who_is_cut_off_while_his_file_is_planned_anew_applies_nothing(
    world: World, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = world.user("alice", allow("hatchway:*"))
    alice = world.client("hatchway", key)
    prepared = make_plan

    def late(*arguments: Any, **named: Any) -> Any:
        plan = prepared(*arguments, **named)
        monkeypatch.setattr(fleet_files, "make_plan", prepared)
        world.client("iam").delete_access_key(UserName="alice", AccessKeyId=key.access_key_id)
        return plan

    monkeypatch.setattr(fleet_files, "make_plan", late)
    refused(lambda: alice.apply_fleet(FleetFile=FILE), "InvalidClientTokenId")
    assert client.plan_fleet(FleetFile=FILE)["Plan"]["Changes"]


def test_whole_accounts_are_gone_through_one_at_a_time(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_files._turns, "longest_wait", 0.01)
    with fleet_files._turns.one():
        for call in (
            lambda: client.plan_fleet(FleetFile=FILE),
            lambda: client.apply_fleet(FleetFile=FILE),
            client.export_fleet,
        ):
            assert "Too many calls plan or export a whole account" in refused(call, "ThrottlingException")
    assert client.export_fleet()["FleetFile"]


def test_a_file_of_the_api_has_fewer_values_than_one_on_the_server(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_files, "MOST_VALUES", 5)
    message = refused(lambda: client.plan_fleet(FleetFile=FILE), "InvalidFleetException")
    assert "the file has more than 5 values" in message
