"""Security groups as EC2 describes them. The fleet file says which there are; gateways enforce them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from hatchway.control.ec2.conditions import of_constant, of_expression
from hatchway.control.ec2.filters import Field, Stored
from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.resource_ids import MOST_IDS, SECURITY_GROUP
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Rule, SecurityGroup
from hatchway.protocol import ServiceError
from hatchway.store import tables

_ANY_PROTOCOL: Final = "-1"
_GROUP: Final = "sg-"


def _rule_fields(
    prefix: str, account: str, rules_of: Callable[[SecurityGroup], Sequence[Rule]]
) -> Mapping[str, Field[SecurityGroup]]:
    """The filters of one direction's rules."""

    def field(values_of: Callable[[Rule], Iterable[str]]) -> Field[SecurityGroup]:
        return lambda group: [value for rule in rules_of(group) for value in values_of(rule)]

    return {
        f"{prefix}.cidr": field(lambda rule: [rule.peer] if _peer_key(rule) == "IpRanges" else []),
        f"{prefix}.ipv6-cidr": field(lambda rule: [rule.peer] if _peer_key(rule) == "Ipv6Ranges" else []),
        f"{prefix}.group-id": field(lambda rule: [rule.peer] if rule.peer.startswith(_GROUP) else []),
        f"{prefix}.protocol": field(lambda rule: [rule.protocol]),
        f"{prefix}.user-id": field(lambda rule: [account] if rule.peer.startswith(_GROUP) else []),
        f"{prefix}.from-port": field(lambda rule: [str(rule.from_port)]),
        f"{prefix}.to-port": field(lambda rule: [str(rule.to_port)]),
    }


SECURITY_GROUPS: Final[Listing[SecurityGroup]] = Listing(
    action="DescribeSecurityGroups",
    ids="GroupIds",
    kind=SECURITY_GROUP,
    rows=lambda tx: tx.security_groups,
    id_column=tables.security_groups.c.id,
    fields=lambda call: {
        "description": Stored(of_expression(tables.security_groups.c.description)),
        "group-id": tables.security_groups.c.id,
        "group-name": tables.security_groups.c.name,
        "owner-id": Stored(of_constant(call.arns.account)),
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
        "SecurityGroups": [_group_result(call, group) for group in page.nouns],
        "NextToken": page.next_token,
    }


def _group_result(call: Call, group: SecurityGroup) -> dict[str, Any]:
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "SecurityGroupArn": call.arns.security_group(group.id),
        "Description": group.description,
        "OwnerId": call.arns.account,
        "VpcId": group.vpc_id,
        "IpPermissions": _permission_results(call, group.ingress),
        "IpPermissionsEgress": _permission_results(call, group.egress),
        "Tags": tag_results(group.tags),
    }


def _permission_results(call: Call, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """Rules as EC2 groups them: one permission for each protocol and range of ports."""
    permissions: dict[tuple[str, int, int], dict[str, Any]] = {}
    for rule in rules:
        ports = {} if rule.protocol == _ANY_PROTOCOL else {"FromPort": rule.from_port, "ToPort": rule.to_port}
        peers: dict[str, list[dict[str, str]]] = {"UserIdGroupPairs": [], "IpRanges": [], "Ipv6Ranges": []}
        empty: dict[str, Any] = {"IpProtocol": rule.protocol, **ports, **peers}
        permission = permissions.setdefault((rule.protocol, rule.from_port, rule.to_port), empty)
        key = _peer_key(rule)
        permission[key].append(
            {
                "UserIdGroupPairs": {"GroupId": rule.peer, "UserId": call.arns.account},
                "IpRanges": {"CidrIp": rule.peer},
                "Ipv6Ranges": {"CidrIpv6": rule.peer},
            }[key]
        )
    return list(permissions.values())


def _peer_key(rule: Rule) -> str:
    """Which list of a permission a rule's peer goes into."""
    if rule.peer.startswith(_GROUP):
        return "UserIdGroupPairs"
    return "Ipv6Ranges" if ":" in rule.peer else "IpRanges"
