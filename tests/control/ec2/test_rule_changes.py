"""Rules of security groups given, changed and taken away."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.control.ec2.refusals import refused
from tests.control.harness import ARNS, DEFAULT_GROUP, OTHER_DEFAULT_GROUP, SSH_GROUP, VPC, World

from hatchway.domain.network import Rule

OFFICE = {"CidrIp": "10.0.0.0/8", "Description": "office"}
INVALID = "InvalidParameterValue"
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [OFFICE]}


@pytest.fixture
def group(ec2: Any) -> Iterator[str]:
    group_id = ec2.create_security_group(GroupName="rules", Description="d", VpcId=VPC)["GroupId"]
    yield group_id
    ec2.delete_security_group(GroupId=group_id)


def rules_of(ec2: Any, group_id: str, *, egress: bool = False) -> list[Any]:
    filters = [{"Name": "group-id", "Values": [group_id]}]
    found = ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return [rule for rule in found if rule["IsEgress"] == egress]


def permissions_of(ec2: Any, group_id: str) -> list[Any]:
    (group,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    return list(group["IpPermissions"])


def test_rules_are_told_by_the_group_and_each_by_itself(ec2: Any, group: str) -> None:
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}]
    asked = [
        {**SSH, "Ipv6Ranges": [{"CidrIpv6": "fd00::/8"}]},
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": DEFAULT_GROUP, "Description": "inside"}]},
        {"IpProtocol": "17", "FromPort": 53, "ToPort": 54, "IpRanges": [{"CidrIp": "10.2.3.4/16"}]},
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    ]
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=asked, TagSpecifications=tags)
    assert made["Return"] is True
    rules = rules_of(ec2, group)
    assert sorted(rules, key=str) == sorted(made["SecurityGroupRules"], key=str)
    told = {(rule["IpProtocol"], rule["FromPort"], rule.get("CidrIpv4")): rule for rule in rules}
    ssh = told["tcp", 22, "10.0.0.0/8"]
    assert (ssh["Description"], ssh["Tags"], ssh["GroupId"]) == ("office", tags[0]["Tags"], group)
    assert ssh["SecurityGroupRuleArn"] == ARNS.security_group_rule(ssh["SecurityGroupRuleId"])
    assert told["-1", -1, None]["ReferencedGroupInfo"]["GroupId"] == DEFAULT_GROUP
    assert told["udp", 53, "10.2.0.0/16"]["ToPort"] == 54
    assert told["icmp", -1, "0.0.0.0/0"]["IsEgress"] is False
    tcp = next(one for one in permissions_of(ec2, group) if one["IpProtocol"] == "tcp")
    assert tcp["IpRanges"] == [OFFICE] and tcp["Ipv6Ranges"] == [{"CidrIpv6": "fd00::/8"}]
    one = ec2.describe_security_group_rules(SecurityGroupRuleIds=[ssh["SecurityGroupRuleId"]])
    assert one["SecurityGroupRules"] == [ssh]
    pages = ec2.get_paginator("describe_security_group_rules").paginate(PaginationConfig={"PageSize": 5})
    assert {rule["SecurityGroupRuleId"] for page in pages for rule in page["SecurityGroupRules"]} >= {
        rule["SecurityGroupRuleId"] for rule in rules
    }


def test_gateways_get_what_is_in_force(account: World, ec2: Any, group: str) -> None:
    with account.store.read() as tx:
        before = tx.revision()
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    with account.store.read() as tx:
        (followed,) = tx.security_groups.since(before)
    assert followed.ingress == (Rule("tcp", 22, 22, "10.0.0.0/8"),)
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    with account.store.read() as tx:
        (followed,) = tx.security_groups.since(before)
    assert followed.ingress == ()


def test_the_parameters_of_a_single_rule_are_taken(ec2: Any, group: str) -> None:
    asked = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "CidrIp": "10.0.0.0/8"}
    ec2.authorize_security_group_ingress(GroupId=group, **asked)
    (rule,) = rules_of(ec2, group)
    assert (rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]) == (80, 81, "10.0.0.0/8")
    ec2.revoke_security_group_ingress(GroupId=group, **asked)
    assert rules_of(ec2, group) == []


def test_rules_are_revoked_by_what_they_say_or_by_id(ec2: Any, group: str) -> None:
    web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [OFFICE]}
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH, web])["SecurityGroupRules"]
    ids = [rule["SecurityGroupRuleId"] for rule in made]
    gone = ec2.revoke_security_group_ingress(
        GroupId=group, IpPermissions=[{**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    )["RevokedSecurityGroupRules"]
    assert [(rule["SecurityGroupRuleId"], rule["Description"]) for rule in gone] == [(ids[0], "office")]

    def revoke(**asked: Any) -> Any:
        return ec2.revoke_security_group_ingress(GroupId=group, **asked)

    assert refused(lambda: revoke(IpPermissions=[SSH])) == "InvalidPermission.NotFound"
    assert refused(lambda: revoke(SecurityGroupRuleIds=ids)) == "InvalidSecurityGroupRuleId.NotFound"
    (out,) = rules_of(ec2, SSH_GROUP, egress=True)[:1]
    other = [out["SecurityGroupRuleId"]]
    assert refused(lambda: revoke(SecurityGroupRuleIds=other)) == "InvalidSecurityGroupRuleId.NotFound"
    both = {"SecurityGroupRuleIds": ids[1:], "IpPermissions": [web]}
    assert refused(lambda: revoke(**both)) == "InvalidParameterCombination"
    assert refused(revoke) == "MissingParameter"
    (mine,) = [rule for rule in rules_of(ec2, group, egress=True) if "CidrIpv4" in rule]
    of_egress = [mine["SecurityGroupRuleId"]]
    assert refused(lambda: revoke(SecurityGroupRuleIds=of_egress)) == "InvalidSecurityGroupRuleId.NotFound"
    revoke(SecurityGroupRuleIds=ids[1:])
    ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=of_egress)
    assert [rule["CidrIpv6"] for rule in rules_of(ec2, group, egress=True)] == ["::/0"]


def test_a_rule_that_says_something_else_stays_the_same_rule(ec2: Any, group: str) -> None:
    web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [OFFICE]}
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}]
    asked = {"GroupId": group, "IpPermissions": [SSH, web], "TagSpecifications": tags}
    first, second = ec2.authorize_security_group_ingress(**asked)["SecurityGroupRules"]

    def modify(*changes: tuple[Any, dict[str, Any]]) -> Any:
        rules = [
            {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": says}
            for rule, says in changes
        ]
        return ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=rules)

    from_default = {"IpProtocol": "tcp", "FromPort": 23, "ToPort": 23, "ReferencedGroupId": DEFAULT_GROUP}
    modify((first, {**from_default, "Description": "inside"}))
    told = {rule["SecurityGroupRuleId"]: rule for rule in rules_of(ec2, group)}
    changed = told[first["SecurityGroupRuleId"]]
    assert (changed["FromPort"], changed["Description"], changed["Tags"]) == (23, "inside", tags[0]["Tags"])
    assert changed["ReferencedGroupInfo"]["GroupId"] == DEFAULT_GROUP
    assert told[second["SecurityGroupRuleId"]] == second
    of_web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIpv4": "10.0.0.0/8"}
    assert refused(lambda: modify((first, of_web))) == "InvalidPermission.Duplicate"
    # Two may change places.
    modify((first, of_web), (second, from_default))
    told = {rule["SecurityGroupRuleId"]: rule for rule in rules_of(ec2, group)}
    assert [told[one["SecurityGroupRuleId"]]["FromPort"] for one in (first, second)] == [80, 23]
    assert [one["FromPort"] for one in permissions_of(ec2, group)] == [80, 23]
    neither = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}
    assert refused(lambda: modify((first, neither))) == "InvalidParameterValue"
    elsewhere = {**from_default, "ReferencedGroupId": OTHER_DEFAULT_GROUP}
    assert refused(lambda: modify((first, elsewhere))) == "InvalidGroup.NotFound"
    (others,) = rules_of(ec2, SSH_GROUP)[:1]
    assert refused(lambda: modify((others, of_web))) == "InvalidSecurityGroupRuleId.NotFound"
    assert refused(lambda: modify((first, of_web), (first, of_web))) == "InvalidParameterValue"


def test_descriptions_change_by_what_a_rule_says_or_by_id(ec2: Any, group: str) -> None:
    (rule,) = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])["SecurityGroupRules"]
    anew = {**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "all of us"}]}
    ec2.update_security_group_rule_descriptions_ingress(GroupId=group, IpPermissions=[anew])
    assert rules_of(ec2, group) == [{**rule, "Description": "all of us"}]
    by_id = [{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "Description": "again"}]
    ec2.update_security_group_rule_descriptions_ingress(GroupId=group, SecurityGroupRuleDescriptions=by_id)
    assert permissions_of(ec2, group)[0]["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "again"}]
    plain = {**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    ec2.update_security_group_rule_descriptions_ingress(GroupId=group, IpPermissions=[plain])
    assert "Description" not in rules_of(ec2, group)[0]
    code = "InvalidPermission.NotFound"
    update = ec2.update_security_group_rule_descriptions_egress
    assert refused(lambda: update(GroupId=group, IpPermissions=[SSH])) == code


def test_rules_are_tagged_like_anything_else(account: World, ec2: Any, group: str) -> None:
    (rule,) = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])["SecurityGroupRules"]
    with account.store.read() as tx:
        before = tx.revision()
    ec2.create_tags(Resources=[rule["SecurityGroupRuleId"]], Tags=[{"Key": "team", "Value": "web"}])
    with account.store.read() as tx:
        assert tx.revision() > before
    filters = [{"Name": "tag:team", "Values": ["web"]}]
    (told,) = ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    assert told["SecurityGroupRuleId"] == rule["SecurityGroupRuleId"]


@pytest.mark.parametrize(
    ("permissions", "code"),
    [
        ([], "MissingParameter"),
        ([{**SSH, "IpRanges": []}], "InvalidParameterValue"),
        ([SSH, SSH], "InvalidParameterValue"),
        ([{**SSH, "IpProtocol": "sctp"}], "InvalidParameterValue"),
        ([{**SSH, "FromPort": 23}], "InvalidParameterValue"),
        ([{**SSH, "ToPort": 65536}], "InvalidParameterValue"),
        ([{"IpProtocol": "tcp", "IpRanges": [OFFICE]}], "InvalidParameterValue"),
        ([{**SSH, "IpProtocol": "icmp"}], "InvalidParameterValue"),
        ([{**SSH, "IpRanges": [{"CidrIp": "10.0.0.1"}]}], "InvalidParameterValue"),
        ([{**SSH, "IpRanges": [{"CidrIp": "fd00::/8"}]}], "InvalidParameterValue"),
        ([{**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "x" * 256}]}], INVALID),
        ([{**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "a\nb"}]}], "InvalidParameterValue"),
        ([{**SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "a<b"}]}], "InvalidParameterValue"),
        ([{**SSH, "UserIdGroupPairs": [{"GroupId": "sg-0000000000000000f"}]}], "InvalidGroup.NotFound"),
        ([{**SSH, "UserIdGroupPairs": [{"GroupId": OTHER_DEFAULT_GROUP}]}], "InvalidGroup.NotFound"),
        ([{**SSH, "UserIdGroupPairs": [{"GroupName": "default"}]}], "UnsupportedOperation"),
        ([{**SSH, "UserIdGroupPairs": [{"GroupId": DEFAULT_GROUP, "UserId": "999999999999"}]}],
         "InvalidGroup.NotFound"),
        ([{**SSH, "PrefixListIds": [{"PrefixListId": "pl-1"}]}], "UnsupportedOperation"),
        ([{**SSH, "IpRanges": [{"CidrIp": f"10.{number}.0.0/17"} for number in range(61)]}],
         "RulesPerSecurityGroupLimitExceeded"),
    ],
)  # fmt: skip
def test_what_no_rule_can_be_is_refused(ec2: Any, permissions: list[Any], code: str) -> None:
    authorize = ec2.authorize_security_group_ingress
    assert refused(lambda: authorize(GroupId=SSH_GROUP, IpPermissions=permissions)) == code


def test_what_is_there_already_or_whose_group_is_not_is_refused(ec2: Any, group: str) -> None:
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[SSH])
    authorize = ec2.authorize_security_group_ingress
    assert refused(lambda: authorize(GroupId=group, IpPermissions=[SSH])) == "InvalidPermission.Duplicate"
    absent = "sg-0000000000000000f"
    assert refused(lambda: authorize(GroupId=absent, IpPermissions=[SSH])) == "InvalidGroup.NotFound"
    assert refused(lambda: authorize(IpPermissions=[SSH])) == "MissingParameter"
    dry = {"GroupId": group, "IpPermissions": [{**SSH, "ToPort": 23}], "DryRun": True}
    assert refused(lambda: authorize(**dry)) == "DryRunOperation"


def test_who_changes_rules_is_judged_by_the_group_and_by_the_rule(
    account: World, ec2: Any, group: str
) -> None:
    credentials = account.user(
        "keeper",
        {
            "Effect": "Allow",
            "Action": [
                "ec2:AuthorizeSecurityGroup*",
                "ec2:RevokeSecurityGroup*",
                "ec2:ModifySecurityGroupRules",
            ],
            "Resource": ARNS.security_group(group),
        },
        {
            "Effect": "Allow",
            "Action": "ec2:ModifySecurityGroupRules",
            "Resource": ARNS.security_group_rule("*"),
            "Condition": {"StringEquals": {"aws:ResourceTag/open": "yes"}},
        },
        {
            "Effect": "Deny",
            "Action": "ec2:AuthorizeSecurityGroupIngress",
            "Resource": ARNS.security_group_rule("*"),
            "Condition": {"StringEquals": {"aws:RequestTag/open": "no"}},
        },
        {
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": ARNS.security_group_rule("*"),
            "Condition": {"StringEquals": {"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}},
        },
    )
    mine = account.client("ec2", credentials)
    denied = "UnauthorizedOperation"

    def tagged(value: str) -> list[Any]:
        return [{"ResourceType": "security-group-rule", "Tags": [{"Key": "open", "Value": value}]}]

    authorize = mine.authorize_security_group_ingress
    assert refused(lambda: authorize(GroupId=SSH_GROUP, IpPermissions=[SSH])) == denied
    asked = {"GroupId": group, "IpPermissions": [SSH]}
    assert refused(lambda: authorize(**asked, TagSpecifications=tagged("no"))) == denied
    (open_rule,) = authorize(**asked, TagSpecifications=tagged("yes"))["SecurityGroupRules"]
    (other,) = authorize(GroupId=group, IpPermissions=[{**SSH, "ToPort": 23}])["SecurityGroupRules"]
    says = {"IpProtocol": "tcp", "FromPort": 24, "ToPort": 24, "CidrIpv4": "10.0.0.0/8"}

    def modify(rule: Any) -> Any:
        update = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": says}
        return mine.modify_security_group_rules(GroupId=group, SecurityGroupRules=[update])

    modify(open_rule)
    assert refused(lambda: modify(other)) == denied
    egress = mine.authorize_security_group_egress
    assert refused(lambda: egress(**asked, TagSpecifications=tagged("yes"))) == denied
