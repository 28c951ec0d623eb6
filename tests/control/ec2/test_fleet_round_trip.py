"""What is made through the API is exported, and applied elsewhere it is the same."""

from pathlib import Path
from typing import Any

from tests.control.harness import VPC, World
from tests.fleet.accounts import NOW, fleet

from hatchway.account.fleet import apply_fleet, export_fleet, plan_fleet, read_account
from hatchway.audit.local import LocalAdministrator
from hatchway.store import Store

OPERATOR = LocalAdministrator(os_user="operator", user_agent="hatchway/test")
TAGS = [{"Key": "team", "Value": "web"}]


def test_networks_made_through_the_api_survive_export_and_apply(
    account: World, ec2: Any, tmp_path: Path
) -> None:
    vpc_id = ec2.create_vpc(
        CidrBlock="10.90.0.0/16",
        Ipv6CidrBlock="fd00:90::/56",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": TAGS}],
    )["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.90.1.0/24")["Subnet"]["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    group = ec2.create_security_group(GroupName="a/b [c]", Description="d", VpcId=vpc_id)["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[
            {
                "IpProtocol": protocol,
                "FromPort": port,
                "ToPort": port,
                "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "office"}],
                "UserIdGroupPairs": [{"GroupId": group}],
            }
            for protocol, port in (("tcp", 22), ("udp", 53), ("icmp", -1), ("-1", -1))
        ],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": TAGS}],
    )
    default = ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [VPC]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"][0]["GroupId"]
    (inside,) = ec2.describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [default]}], MaxResults=5
    )["SecurityGroupRules"][:1]
    ec2.create_tags(Resources=[inside["SecurityGroupRuleId"]], Tags=TAGS)

    text = export_fleet(account.store)
    assert plan_fleet(account.store, fleet(text), now=NOW).empty, text
    with account.store.read() as tx:
        view = read_account(tx)
    other = Store.open(f"sqlite:///{tmp_path}/other.db")
    other.migrate()
    with other.write() as tx:
        tx.accounts.put(view.account)
    apply_fleet(other, fleet(text), now=NOW, administrator=OPERATOR)
    with other.read() as tx:
        again = read_account(tx)
    other.close()
    for table in ("vpcs", "subnets", "security_groups", "security_group_rules"):
        assert getattr(again.rows, table) == getattr(view.rows, table), table
    assert any(rule.description and rule.tags for rule in again.rows.security_group_rules.values())
