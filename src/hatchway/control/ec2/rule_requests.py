"""Rules of security groups as requests write them, and as answers tell them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hatchway.control.ec2.cidrs import read_cidr
from hatchway.control.ec2.listing import tag_results
from hatchway.control.ec2.resource_ids import SECURITY_GROUP
from hatchway.control.operations import Call
from hatchway.domain.network import ANY_ICMP_TYPE, ANY_PORT, GROUP_DESCRIPTION, ICMP, Rule, SecurityGroupRule
from hatchway.protocol import ServiceError

ANY_PROTOCOL: Final = "-1"
_PROTOCOLS: Final[Mapping[str, str]] = {
    **{name: name for name in ("tcp", "udp", "icmp", "icmpv6", ANY_PROTOCOL)},
    "1": "icmp",
    "6": "tcp",
    "17": "udp",
    "58": "icmpv6",
    "all": ANY_PROTOCOL,
}
_GROUP: Final = "sg-"
_LONGEST: Final = 255
_description_of: Final = re.compile(GROUP_DESCRIPTION).fullmatch
_LONGEST_ECHO: Final = 64

NO_PREFIX_LISTS: Final = {"IpPermissions.PrefixListIds": (), "IpPermissions.UserIdGroupPairs.GroupName": ()}
NO_CLASSIC: Final = {"GroupName": (), "SourceSecurityGroupName": (), "SourceSecurityGroupOwnerId": ()}
"""Parameters that name groups of a default VPC, which no account here has."""
NO_PEERING: Final = {
    "IpPermissions.UserIdGroupPairs.PeeringStatus": (),
    "IpPermissions.UserIdGroupPairs.VpcId": (),
    "IpPermissions.UserIdGroupPairs.VpcPeeringConnectionId": (),
}


@dataclass(frozen=True, slots=True)
class RequestedRule:
    """A rule that a request names; `description` None says nothing of it."""

    rule: Rule
    description: str | None


def read_permissions(call: Call) -> list[RequestedRule]:
    """The rules of a request's `IpPermissions`, or of the parameters that make up a single one.

    Raises:
        ServiceError: there is none, something of one is wrong, or one is there twice.
    """
    parameters = call.parameters
    permissions = list(parameters.get("IpPermissions") or ())
    if parameters.get("IpProtocol") or parameters.get("CidrIp"):
        if permissions:
            raise ServiceError(
                "InvalidParameterCombination", "IpPermissions cannot be used with ipProtocol and cidrIp"
            )
        single = {name: parameters.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}
        permissions = [{**single, "IpRanges": [{"CidrIp": parameters.get("CidrIp") or ""}]}]
    asked = [one for permission in permissions for one in _rules_of(call, permission)]
    if len({one.rule for one in asked}) < len(asked):
        raise ServiceError("InvalidParameterValue", "The same permission must not appear multiple times")
    return asked


def _rules_of(call: Call, permission: Mapping[str, Any]) -> Iterator[RequestedRule]:
    protocol, ports = _protocol(permission), None
    ports = _ports(protocol, permission)
    count = 0
    for key, read, member in (
        ("IpRanges", _ipv4, "CidrIp"),
        ("Ipv6Ranges", _ipv6, "CidrIpv6"),
        ("UserIdGroupPairs", _group, "GroupId"),
    ):
        for peer in permission.get(key) or ():
            owner = peer.get("UserId")
            if owner not in (None, "", call.arns.account):
                raise ServiceError(
                    "InvalidGroup.NotFound", f"You have specified two resources that belong to {owner[:12]}"
                )
            count += 1
            yield RequestedRule(Rule(protocol, *ports, read(peer.get(member) or "")), _description(peer))
    if not count:
        raise ServiceError(
            "InvalidParameterValue", "A permission must have a range of addresses or a security group"
        )


def read_rule(request: Mapping[str, Any]) -> RequestedRule:
    """The one rule that ModifySecurityGroupRules gives.

    Raises:
        ServiceError: something is wrong with it.
    """
    protocol = _protocol(request)
    peers = [
        read(request[name])
        for name, read in (("CidrIpv4", _ipv4), ("CidrIpv6", _ipv6), ("ReferencedGroupId", _group))
        if request.get(name)
    ]
    if len(peers) != 1:
        raise ServiceError(
            "InvalidParameterValue", "A rule has one of cidrIpv4, cidrIpv6 and referencedGroupId"
        )
    return RequestedRule(Rule(protocol, *_ports(protocol, request), peers[0]), _description(request) or "")


def check_description(text: str, what: str = "rule") -> str:
    """
    Raises:
        ServiceError: no rule or group (`what` it is) can have this description (AWS: CreateSecurityGroup,
            IpRange).
    """
    if not _description_of(text):
        raise ServiceError(
            "InvalidParameterValue",
            f"Invalid {what} description. Valid descriptions are strings less than {_LONGEST + 1} characters"
            " from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        )
    return text


def _description(peer: Mapping[str, Any]) -> str | None:
    text = peer.get("Description")
    return None if text is None else check_description(text)


def _protocol(permission: Mapping[str, Any]) -> str:
    text = permission.get("IpProtocol") or ""
    protocol = _PROTOCOLS.get(text.lower())
    if protocol is None:
        raise ServiceError(
            "InvalidParameterValue",
            f"Invalid value '{text[:_LONGEST_ECHO]}' for IP protocol: Hatchway keeps rules for tcp, udp,"
            f" icmp, icmpv6 and {ANY_PROTOCOL}, which is all.",
        )
    return protocol


def _ports(protocol: str, permission: Mapping[str, Any]) -> tuple[int, int]:
    low, high = permission.get("FromPort"), permission.get("ToPort")
    if protocol == ANY_PROTOCOL:
        return ANY_PORT
    if protocol in ICMP:
        if {low, high} <= {None, -1}:
            return ANY_ICMP_TYPE
        raise ServiceError(
            "InvalidParameterValue", f"Of {protocol} Hatchway keeps rules for all types and codes alone: -1."
        )
    if low is None or high is None:
        raise ServiceError(
            "InvalidParameterValue",
            "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.",
        )
    if not ANY_PORT[0] <= low <= high <= ANY_PORT[1]:
        raise ServiceError("InvalidParameterValue", f"Invalid value for portRange. TCP/UDP port {low}-{high}")
    return int(low), int(high)


def _ipv4(text: str) -> str:
    return str(read_cidr(text, "cidrIp", 4))


def _ipv6(text: str) -> str:
    return str(read_cidr(text, "cidrIpv6", 6))


def _group(text: str) -> str:
    SECURITY_GROUP.check(text)
    return text


def is_group(peer: str) -> bool:
    """Whether a rule's peer is a security group; otherwise it is a range."""
    return peer.startswith(_GROUP)


def peer_key(rule: Rule) -> str:
    """Which list of a permission a rule's peer goes into."""
    if is_group(rule.peer):
        return "UserIdGroupPairs"
    return "Ipv6Ranges" if ":" in rule.peer else "IpRanges"


def permission_results(
    call: Call, rules: Sequence[Rule], descriptions: Mapping[Rule, str]
) -> list[dict[str, Any]]:
    """Rules as EC2 groups them: one permission for each protocol and range of ports."""
    permissions: dict[tuple[str, int, int], dict[str, Any]] = {}
    for rule in rules:
        ports = {} if rule.protocol == ANY_PROTOCOL else {"FromPort": rule.from_port, "ToPort": rule.to_port}
        peers: dict[str, list[dict[str, str]]] = {"UserIdGroupPairs": [], "IpRanges": [], "Ipv6Ranges": []}
        empty: dict[str, Any] = {"IpProtocol": rule.protocol, **ports, **peers}
        permission = permissions.setdefault((rule.protocol, rule.from_port, rule.to_port), empty)
        key = peer_key(rule)
        description = descriptions.get(rule)
        permission[key].append(
            {
                **({"Description": description} if description else {}),
                **{
                    "UserIdGroupPairs": {"GroupId": rule.peer, "UserId": call.arns.account},
                    "IpRanges": {"CidrIp": rule.peer},
                    "Ipv6Ranges": {"CidrIpv6": rule.peer},
                }[key],
            }
        )
    return list(permissions.values())


def rule_results(call: Call, rules: Iterable[SecurityGroupRule]) -> list[dict[str, Any]]:
    """Rules as EC2 describes each by itself."""
    return [
        {
            **_content(rule),
            "SecurityGroupRuleArn": call.arns.security_group_rule(rule.id),
            "GroupOwnerId": call.arns.account,
            "ReferencedGroupInfo": (
                {"GroupId": rule.peer, "UserId": call.arns.account} if is_group(rule.peer) else None
            ),
            "Tags": tag_results(rule.tags),
        }
        for rule in rules
    ]


def revoked_results(rules: Iterable[SecurityGroupRule]) -> list[dict[str, Any]]:
    """Rules as EC2 tells of those that were revoked."""
    return [
        {**_content(rule), "ReferencedGroupId": rule.peer if is_group(rule.peer) else None} for rule in rules
    ]


def _content(rule: SecurityGroupRule) -> dict[str, Any]:
    everything = rule.protocol == ANY_PROTOCOL
    key = peer_key(rule.rule)
    return {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": -1 if everything else rule.from_port,
        "ToPort": -1 if everything else rule.to_port,
        "CidrIpv4": rule.peer if key == "IpRanges" else None,
        "CidrIpv6": rule.peer if key == "Ipv6Ranges" else None,
        "Description": rule.description or None,
    }
