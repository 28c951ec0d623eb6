"""Security groups as EC2 describes them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from hatchway.control.ec2.filters import Field, Stored
from hatchway.control.ec2.listing import Listing, describe, page_of, tag_results
from hatchway.control.ec2.resource_ids import MOST_IDS, SECURITY_GROUP
from hatchway.control.ec2.resources import VPCS
from hatchway.control.ec2.rule_requests import is_group, peer_key, permission_results
from hatchway.control.ec2.sql_filters import of_constant, of_expression
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Rule, SecurityGroup
from hatchway.protocol import ServiceError
from hatchway.store import tables


def _rule_fields(
    prefix: str, account: str, rules_of: Callable[[SecurityGroup], Sequence[Rule]]
) -> Mapping[str, Field[SecurityGroup]]:
    """The filters of one direction's rules."""

    def field(values_of: Callable[[Rule], Iterable[str]]) -> Field[SecurityGroup]:
        return lambda group: [value for rule in rules_of(group) for value in values_of(rule)]

    return {
        f"{prefix}.cidr": field(lambda rule: [rule.peer] if peer_key(rule) == "IpRanges" else []),
        f"{prefix}.ipv6-cidr": field(lambda rule: [rule.peer] if peer_key(rule) == "Ipv6Ranges" else []),
        f"{prefix}.group-id": field(lambda rule: [rule.peer] if is_group(rule.peer) else []),
        f"{prefix}.protocol": field(lambda rule: [rule.protocol]),
        f"{prefix}.user-id": field(lambda rule: [account] if is_group(rule.peer) else []),
        f"{prefix}.from-port": field(lambda rule: [str(rule.from_port)]),
        f"{prefix}.to-port": field(lambda rule: [str(rule.to_port)]),
    }


def _own_fields(account: str) -> dict[str, Any]:
    return {
        "description": Stored(of_expression(tables.security_groups.c.description)),
        "group-id": tables.security_groups.c.id,
        "group-name": tables.security_groups.c.name,
        "owner-id": Stored(of_constant(account)),
    }


SECURITY_GROUPS: Final[Listing[SecurityGroup]] = Listing(
    action="DescribeSecurityGroups",
    ids="GroupIds",
    kind=SECURITY_GROUP,
    rows=lambda tx: tx.security_groups,
    id_column=tables.security_groups.c.id,
    fields=lambda call: {
        **_own_fields(call.arns.account),
        "vpc-id": tables.security_groups.c.vpc_id,
        **_rule_fields("ip-permission", call.arns.account, lambda group: group.ingress),
        **_rule_fields("egress.ip-permission", call.arns.account, lambda group: group.egress),
    },
)


@operation("ec2", "DescribeSecurityGroups", reads_only=True)
def describe_security_groups(call: Call) -> Result:
    """Groups, also by `GroupNames`; where AWS means those of the default VPC, here it is any."""
    names = frozenset(call.parameters.get("GroupNames") or ())
    if len(names) > MOST_IDS:
        raise ServiceError("InvalidParameterValue", f"A request has at most {MOST_IDS} group names.")
    name = tables.security_groups.c.name
    named = [name.in_(names)] if names else []
    page = describe(call, SECURITY_GROUPS, *named)
    found = {one for (one,) in call.tx.security_groups.values(name, where=named)} if named else names
    if missing := names - found:
        raise ServiceError(
            SECURITY_GROUP.not_found, f"The security group '{min(missing)[:255]}' does not exist"
        )
    return {
        "SecurityGroups": _group_results(call, page.nouns),
        "NextToken": page.next_token,
    }


OF_A_VPC: Final[Listing[SecurityGroup]] = Listing(
    action="GetSecurityGroupsForVpc",
    ids="",
    kind=SECURITY_GROUP,
    rows=lambda tx: tx.security_groups,
    id_column=tables.security_groups.c.id,
    fields=lambda call: {
        **_own_fields(call.arns.account),
        "primary-vpc-id": tables.security_groups.c.vpc_id,
    },
)


@operation("ec2", "GetSecurityGroupsForVpc", reads_only=True)
def get_security_groups_for_vpc(call: Call) -> Result:
    """The groups that network interfaces in a VPC can have: its own, for none is shared between VPCs."""
    vpc_id = call.parameters["VpcId"]
    vpc = VPCS.find(call, vpc_id)

    call.authorize(VPCS.check(call, "GetSecurityGroupsForVpc", vpc_id, vpc))

    VPCS.required(vpc, vpc_id)
    page = page_of(call, OF_A_VPC, tables.security_groups.c.vpc_id == vpc_id)
    return {
        "SecurityGroupForVpcs": [
            {
                "GroupId": group.id,
                "GroupName": group.name,
                "Description": group.description,
                "OwnerId": call.arns.account,
                "PrimaryVpcId": group.vpc_id,
                "Tags": tag_results(group.tags),
            }
            for group in page.nouns
        ],
        "NextToken": page.next_token,
    }


def _group_results(call: Call, groups: Sequence[SecurityGroup]) -> list[dict[str, Any]]:
    columns = tables.security_group_rules.c
    described = columns.group_id.in_([group.id for group in groups]), columns.description != ""
    descriptions: defaultdict[tuple[str, bool], dict[Rule, str]] = defaultdict(dict)
    for row in call.tx.security_group_rules.find(*described):
        descriptions[row.group_id, row.egress][row.rule] = row.description
    return [
        _group_result(call, group, descriptions[group.id, False], descriptions[group.id, True])
        for group in groups
    ]


def _group_result(
    call: Call, group: SecurityGroup, ingress: Mapping[Rule, str], egress: Mapping[Rule, str]
) -> dict[str, Any]:
    """A group; the mappings have what its rules are said to be for."""
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "SecurityGroupArn": call.arns.security_group(group.id),
        "Description": group.description,
        "OwnerId": call.arns.account,
        "VpcId": group.vpc_id,
        "IpPermissions": permission_results(call, group.ingress, ingress),
        "IpPermissionsEgress": permission_results(call, group.egress, egress),
        "Tags": tag_results(group.tags),
    }
