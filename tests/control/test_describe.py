"""The network as EC2 describes it: fields, ids, filters, pages."""

import base64
import html
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from tests.control.harness import (
    ARNS,
    DEFAULT_GROUP,
    INSTANCE,
    OTHER_DEFAULT_GROUP,
    OTHER_SUBNET,
    OTHER_VPC,
    SSH_GROUP,
    STOPPED_INSTANCE,
    SUBNET,
    SUBNET_ELSEWHERE,
    VPC,
    World,
)
from tests.control.parameters import required_parameters

from hatchway.control.catalogue import OPERATIONS as REGISTERED
from hatchway.control.ec2 import work_budget
from hatchway.control.ec2.documented_filters import DOCUMENTED
from hatchway.control.ec2.filters import Field, read_filters
from hatchway.control.ec2.wildcards import Pattern
from hatchway.control.ec2.work_budget import WorkBudget
from hatchway.control.ec2.zones import zone_id
from hatchway.domain.network import Instance, Vpc
from hatchway.protocol import load_service
from hatchway.store import tables

OPERATIONS = {
    "describe_instances": ("InstanceIds", "i-0000000000000000f"),
    "describe_vpcs": ("VpcIds", "vpc-0000000000000000f"),
    "describe_subnets": ("SubnetIds", "subnet-0000000000000000f"),
    "describe_security_groups": ("GroupIds", "sg-0000000000000000f"),
    "describe_network_interfaces": ("NetworkInterfaceIds", "eni-0000000000000000f"),
    "describe_instance_connect_endpoints": ("InstanceConnectEndpointIds", "eice-0000000000000000f"),
}


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_an_instance_has_what_the_aws_cli_reads_of_it(world: World) -> None:
    answer = world.client("ec2").describe_instances(InstanceIds=[INSTANCE])
    (reservation,) = answer["Reservations"]
    with world.store.read() as tx:
        created = tx.account().created_at
    told = created.replace(microsecond=created.microsecond // 1000 * 1000)
    assert reservation["Instances"] == [
        {
            "InstanceId": INSTANCE,
            "InstanceType": "hatchway.host",
            "LaunchTime": told,
            "State": {"Code": 16, "Name": "running"},
            "VpcId": VPC,
            "SubnetId": SUBNET,
            "PrivateIpAddress": "10.0.1.1",
            "Ipv6Address": "fd00:1::1",
            "Placement": {
                "AvailabilityZone": "us-east-1a",
                "AvailabilityZoneId": "use1-az1",
                "Tenancy": "default",
            },
            "SecurityGroups": [{"GroupId": SSH_GROUP, "GroupName": "ssh-in"}],
            "Tags": [{"Key": "Name", "Value": "web-1"}, {"Key": "env", "Value": "dev"}],
        }
    ]


def test_vpcs_subnets_and_groups_are_as_the_fleet_has_them(world: World) -> None:
    ec2 = world.client("ec2")
    (vpc,) = ec2.describe_vpcs(VpcIds=[VPC])["Vpcs"]
    assert vpc["CidrBlock"] == "10.0.0.0/16"
    assert vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"] == "fd00:1::/56"
    (subnet,) = ec2.describe_subnets(SubnetIds=[SUBNET])["Subnets"]
    assert subnet["SubnetArn"] == ARNS.subnet(SUBNET)
    assert (subnet["CidrBlock"], subnet["AvailableIpAddressCount"]) == ("10.0.1.0/24", 256 - 5 - 1)
    (group,) = ec2.describe_security_groups(GroupNames=["ssh-in"])["SecurityGroups"]
    (ssh,) = group["IpPermissions"]
    assert (ssh["IpProtocol"], ssh["FromPort"], ssh["ToPort"]) == ("tcp", 22, 22)
    assert ssh["IpRanges"] == [{"CidrIp": "10.0.0.0/16"}]
    assert ssh["UserIdGroupPairs"] == [{"GroupId": DEFAULT_GROUP, "UserId": "123456789012"}]
    everything, https = group["IpPermissionsEgress"]
    assert everything["IpProtocol"] == "-1" and "FromPort" not in everything
    assert https["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]


@pytest.mark.parametrize(
    ("operation", "filters", "expected"),
    [
        ("instances", {}, [INSTANCE, STOPPED_INSTANCE]),
        ("instances", {"instance-state-name": ["running"]}, [INSTANCE]),
        ("instances", {"instance-state-code": ["80"]}, [STOPPED_INSTANCE]),
        ("instances", {"tag:env": ["dev", "prod"]}, [INSTANCE]),
        ("instances", {"tag:env": ["dev"], "subnet-id": [OTHER_SUBNET]}, []),
        ("instances", {"tag:Env": ["dev"]}, []),
        ("instances", {"tag-key": ["Na*"]}, [INSTANCE]),
        ("instances", {"tag-value": ["web-?"]}, [INSTANCE]),
        ("instances", {"tag-value": ["web-\\?"]}, []),
        ("instances", {"private-ip-address": ["10.0.*"]}, [INSTANCE, STOPPED_INSTANCE]),
        ("instances", {"ipv6-address": ["fd00:1::1"]}, [INSTANCE]),
        ("instances", {"instance.group-name": ["ssh-in"]}, [INSTANCE]),
        ("instances", {"instance.group-id": [DEFAULT_GROUP]}, [STOPPED_INSTANCE]),
        ("instances", {"availability-zone": ["us-east-1a"], "vpc-id": [VPC]}, [INSTANCE, STOPPED_INSTANCE]),
        ("vpcs", {"cidr": ["10.1.*"]}, [OTHER_VPC]),
        ("vpcs", {"is-default": ["true"]}, []),
        ("vpcs", {"ipv6-cidr-block-association.ipv6-cidr-block": ["*"]}, [VPC]),
        ("subnets", {"vpc-id": [OTHER_VPC]}, [SUBNET_ELSEWHERE]),
        ("subnets", {"subnet-arn": [ARNS.subnet(SUBNET)]}, [SUBNET]),
        ("subnets", {"cidr-block": ["10.0.2.0/28"]}, [OTHER_SUBNET]),
        ("subnets", {"cidr": ["10.0.2.*"], "cidrBlock": ["*/28"]}, [OTHER_SUBNET]),
        ("subnets", {"availabilityZone": ["us-east-1a"], "availabilityZoneId": ["use1-az1"],
                     "defaultForAz": ["false"], "cidr": ["10.0.1.0/24"]}, [SUBNET]),
        ("subnets", {"private-dns-name-options-on-launch.hostname-type": ["ip-name"],
                     "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": ["false"],
                     "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": ["false"],
                     "cidr": ["10.0.1.0/24"]}, [SUBNET]),
        ("subnets", {"availability-zone-id": ["use1-az1"], "owner-id": ["123456789012"], "tag:tier": ["*"]},
         [SUBNET]),
        ("security_groups", {"group-name": ["default"], "vpc-id": [OTHER_VPC]}, [OTHER_DEFAULT_GROUP]),
        ("security_groups", {"ip-permission.cidr": ["10.0.0.0/16"]}, [SSH_GROUP]),
        ("security_groups", {"ip-permission.group-id": [DEFAULT_GROUP]}, [DEFAULT_GROUP, SSH_GROUP]),
        ("security_groups", {"egress.ip-permission.to-port": ["444"]}, [SSH_GROUP]),
    ],
)  # fmt: skip
def test_filters_choose(
    world: World, operation: str, filters: dict[str, list[str]], expected: list[str]
) -> None:
    listed = [{"Name": name, "Values": values} for name, values in filters.items()]
    answer = getattr(world.client("ec2"), f"describe_{operation}")(Filters=listed)
    if operation == "instances":
        found = [one["InstanceId"] for each in answer["Reservations"] for one in each["Instances"]]
    else:
        key, id_key = {
            "vpcs": ("Vpcs", "VpcId"),
            "subnets": ("Subnets", "SubnetId"),
            "security_groups": ("SecurityGroups", "GroupId"),
        }[operation]
        found = [one[id_key] for one in answer[key]]
    assert found == expected


def test_instances_are_found_by_the_launch_time_that_is_told_of_them(world: World) -> None:
    describe = world.client("ec2").describe_instances
    told = describe(InstanceIds=[INSTANCE])["Reservations"][0]["Instances"][0]["LaunchTime"]
    text = told.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

    def launched(*values: str) -> list[str]:
        answer = describe(Filters=[{"Name": "launch-time", "Values": list(values)}])
        return [one["InstanceId"] for each in answer["Reservations"] for one in each["Instances"]]

    assert INSTANCE in launched(text)
    assert INSTANCE in launched(f"{text[:10]}T*")
    assert launched("1999-*") == []


@pytest.mark.parametrize("operation", OPERATIONS)
def test_ids_that_nothing_has_and_parameters_that_cannot_be_are_refused(world: World, operation: str) -> None:
    ids, absent = OPERATIONS[operation]
    describe = getattr(world.client("ec2", parameter_validation=False), operation)
    assert refused(lambda: describe(**{ids: [absent]})).endswith(".NotFound")
    assert refused(lambda: describe(**{ids: ["../etc/passwd"]})).endswith(".Malformed")
    assert refused(lambda: describe(**{ids: [f"{absent[: absent.index('-')]}-*"]})).endswith(".Malformed")
    for parameters in (
        {"Filters": [{"Name": "no-such-filter", "Values": ["x"]}]},
        {"Filters": [{"Name": "vpc-id"}]},
        {"Filters": [{"Values": ["x"]}]},
        {"MaxResults": 1001},
        {"MaxResults": 0},
        {"NextToken": "x"},
        {"NextToken": "é"},
        {"NextToken": "A" * 10_000},
        {"NextToken": base64.b64encode(b"%s i-\0" % operation.title().replace("_", "").encode()).decode()},
    ):
        assert refused(lambda: describe(**parameters)) == "InvalidParameterValue", parameters  # noqa: B023
    many = [{"Name": "vpc-id", "Values": ["v"] * 201}]
    assert refused(lambda: describe(Filters=many)) == "FilterLimitExceeded"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_describing_needs_the_permission_on_everything(world: World, operation: str) -> None:
    action = "ec2:" + "".join(part.title() for part in operation.split("_"))
    alice = world.user("alice", {"Effect": "Allow", "Action": action, "Resource": "*"})
    bob = world.user("bob", {"Effect": "Allow", "Action": action, "Resource": "arn:aws:ec2:*:*:*/*"})
    getattr(world.client("ec2", alice), operation)()
    assert refused(getattr(world.client("ec2", bob), operation)) == "UnauthorizedOperation"
    dry_run = getattr(world.client("ec2", alice), operation)
    assert refused(lambda: dry_run(DryRun=True)) == "DryRunOperation"
    allowed, denied, dry = world.events()
    assert allowed["readOnly"] is True and "errorCode" not in allowed
    assert [event.get("errorCode") for event in (denied, dry)] == [
        "Client.UnauthorizedOperation",
        "Client.DryRunOperation",
    ]


def test_pages_hold_everything_once(world: World) -> None:
    instances = [
        Instance(
            id=f"i-{number:017x}",
            name=f"n{number}",
            vpc_id=VPC,
            subnet_id=SUBNET,
            private_ip=None,
            ipv6=f"fd00:1::{number:x}",
            security_group_ids=(DEFAULT_GROUP,),
            tags={"odd": str(number % 2)},
        )
        for number in range(100, 123)
    ]
    world.change(lambda tx: tx.instances.put(*instances))
    ec2 = world.client("ec2")
    pages = list(
        ec2.get_paginator("describe_instances").paginate(
            Filters=[{"Name": "tag:odd", "Values": ["1"]}], PaginationConfig={"PageSize": 5}
        )
    )
    found = [one["Instances"][0]["InstanceId"] for page in pages for one in page["Reservations"]]
    assert found == [one.id for one in instances if one.tags["odd"] == "1"]
    assert [len(page["Reservations"]) for page in pages] == [5, 5, 1]
    token = pages[0]["NextToken"]
    assert refused(lambda: ec2.describe_vpcs(NextToken=token)) == "InvalidParameterValue"
    both = lambda: ec2.describe_instances(InstanceIds=[INSTANCE], MaxResults=5)  # noqa: E731
    assert refused(both) == "InvalidParameterCombination"


def test_a_group_of_no_such_name_is_refused(world: World) -> None:
    describe = world.client("ec2").describe_security_groups
    assert refused(lambda: describe(GroupNames=["default", "nope"])) == "InvalidGroup.NotFound"


NAMES: dict[str, Field[Vpc]] = {"name": lambda vpc: [vpc.name]}


@given(st.text("ab*?\\", max_size=12), st.text("ab*?\\", max_size=12))
def test_a_filter_s_pattern_matches_as_the_obvious_matcher_does(pattern: str, text: str) -> None:
    vpc = Vpc(id="vpc-1", name=text, cidrs=())
    filters = read_filters([{"Name": "name", "Values": [pattern]}], NAMES, tables.vpcs)
    assert filters.hold(vpc, WorkBudget()) is obvious(pattern, text)


def obvious(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        return any(obvious(rest, text[start:]) for start in range(len(text) + 1))
    if head == "\\" and rest:
        head, rest = rest[0], rest[1:]
    elif head == "?":
        return bool(text) and obvious(rest, text[1:])
    return text[:1] == head and obvious(rest, text[1:])


@pytest.mark.parametrize("shape", ["*a{}b", "*a{}?b", "?*{}ab", "*{}aab*", "a{}*b"])
def test_matching_takes_time_in_proportion_to_the_text_s_length(shape: str) -> None:
    def seconds(size: int) -> float:
        pattern = Pattern(shape.format("*a" * size))
        text = "a" * size * 4
        began = time.thread_time()
        for _ in range(20):
            pattern.matches(text)
        return time.thread_time() - began

    # Eight times as long. What tries anything twice would take 64 times as long, or thousands of times.
    assert min(seconds(56) for _ in range(5)) < 8 * 4 * min(seconds(7) for _ in range(5))


def test_a_call_that_takes_too_much_is_refused_and_leaves_the_turn_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the store cannot tell, and each group is looked at for.
    describe = world.client("ec2").describe_security_groups
    costly = [{"Name": "ip-permission.cidr", "Values": ["*x"]}]
    with monkeypatch.context() as patch:
        patch.setattr(work_budget, "FREE", -1.0)
        patch.setattr(work_budget, "MOST", 0.0)
        assert refused(lambda: describe(Filters=costly)) == "FilterLimitExceeded"
        patch.setattr(work_budget, "MOST", 60.0)
        assert describe(Filters=costly)["SecurityGroups"] == []
        with work_budget._turn:
            patch.setattr(work_budget, "LONGEST_WAIT", 0.01)
            assert refused(lambda: describe(Filters=costly)) == "RequestLimitExceeded"
        assert describe(Filters=costly)["SecurityGroups"] == []
    # The client tries again what was refused for the others' sake.
    told = [event.get("errorCode") for event in world.events("DescribeSecurityGroups")]
    assert list(dict.fromkeys(told)) == ["Client.FilterLimitExceeded", None, "Server.RequestLimitExceeded"]


FILTERED = [
    operation
    for service, operation in sorted(REGISTERED)
    if service == "ec2"
    and "Filters" in load_service("ec2").model.operation_model(operation).input_shape.members
]


@pytest.mark.parametrize("operation", FILTERED)
def test_each_documented_filter_is_taken_and_no_other(world: World, operation: str) -> None:
    model = load_service("ec2").model.operation_model(operation).input_shape.members["Filters"]
    documented = {
        html.unescape(name).partition(":")[0]
        for name in re.findall(r"<li> *<p> *<code>([^<]*)</code>", model.documentation)
    }
    for sentence in re.findall(r"You can also use (.*?) as the filter name", model.documentation):
        documented |= set(re.findall(r"<code>([^<]*)</code>", sentence))
    ours = DOCUMENTED[operation] | {"tag", "tag-key", "tag-value"}
    assert documented - {"tag", "tag-key", "tag-value"} == ours - {"tag", "tag-key", "tag-value"}
    more = required_parameters("ec2", operation)
    describe = partial(getattr(world.client("ec2"), xform_name(operation)), **more)
    for name in sorted(DOCUMENTED[operation]):
        answer = describe(Filters=[{"Name": name, "Values": ["no such thing", "nothing*such"]}])
        assert [value for value in answer.values() if isinstance(value, list)] == [[]], name
    assert (
        refused(lambda: describe(Filters=[{"Name": "nonesuch", "Values": ["x"]}])) == "InvalidParameterValue"
    )


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ([{"Name": "tag:k", "Values": ["v"]}] * 51, "filters specified on a single call is 50"),
        ([{"Name": "tag:k", "Values": ["v"] * 101}] * 2, "filter values specified on a single call is 200"),
        ([{"Name": "tag:k", "Values": ["v" * 256]}], "length for a filter value is 255"),
        ([{"Name": "tag:" + "k" * 252, "Values": ["v"]}], "length for a filter name is 255"),
    ],
)
def test_filters_have_the_limits_that_ec2_has(
    world: World, filters: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(ClientError, match=sentence) as caught:
        world.client("ec2").describe_instances(Filters=filters)
    assert caught.value.response["Error"]["Code"] == "FilterLimitExceeded"


def test_at_most_a_thousand_ids_are_looked_up(world: World) -> None:
    describe = world.client("ec2").describe_instances
    ids = [f"i-{number:017x}" for number in range(1001)]
    assert refused(lambda: describe(InstanceIds=ids)) == "InvalidParameterValue"
    assert refused(lambda: describe(InstanceIds=ids[:1000])) == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("us-east-1a", "use1-az1"),
        ("eu-central-1c", "euc1-az3"),
        ("ap-southeast-2b", "apse2-az2"),
        ("us-gov-west-1a", "usgw1-az1"),
        ("rack 7", "rack 7"),
    ],
)
def test_zones_have_the_ids_that_aws_gives_them(zone: str, expected: str) -> None:
    assert zone_id(zone) == expected
