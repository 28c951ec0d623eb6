"""What EC2 describes, as a fleet file: instances, and the networks that they are in.

Networks come from DescribeVpcs, DescribeSubnets and DescribeSecurityGroups; without these the addresses tell
likely ones, as for other sources. Rules that are not about TCP are left out: tunnels carry nothing else.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.network import DEFAULT_GROUP_NAME, InstanceState
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.export import yaml_text
from hatchway.fleet.importers.hosts import (
    Found,
    ImportedFile,
    ImportedHost,
    NotImported,
    address_of,
    fleet_name,
    good_tags,
    instance_form,
    to_fleet,
)
from hatchway.fleet.problems import quoted

_STATES: Final[Mapping[str, InstanceState]] = {
    "pending": InstanceState.RUNNING,
    "running": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPED,
    "stopped": InstanceState.STOPPED,
}
_MOST_GROUPS: Final = 16

Described = Mapping[str, Any]
"""One thing as an answer has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2Account:
    """What the Describe operations answered; a list is empty where one was refused.

    `names` are what things are called by their ids, where somebody says so: their tags do not count then.
    """

    instances: Sequence[Described]
    vpcs: Sequence[Described] = ()
    subnets: Sequence[Described] = ()
    security_groups: Sequence[Described] = ()
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Names:
    """Names that are each one thing's alone: of two that are called the same, one has its id behind."""

    known: Mapping[str, str]
    taken: dict[str, str] = field(default_factory=dict)

    def of(self, thing: Described, id_: str, name: str | None = None) -> str:
        wanted = fleet_name(self.known.get(id_) or name or _tags(thing).get("Name") or id_)
        if self.taken.setdefault(wanted, id_) != id_:
            wanted = fleet_name(f"{wanted[:90]}-{id_}")
            self.taken[wanted] = id_
        return wanted


def import_ec2(account: Ec2Account, *, vpc: str = "imported", prefix: int = 24) -> ImportedFile:
    """The fleet file of what EC2 has.

    Args:
        vpc, prefix: for hosts whose networks are not known: see `to_fleet`.

    Raises:
        NotImported: there is nothing to import.
    """
    found = Found()
    names = _Names(account.names)
    subnets = {each["SubnetId"]: each for each in account.subnets}
    known = {each["VpcId"] for each in account.vpcs}
    hosts = [
        (instance, names.of(instance, instance["InstanceId"]))
        for instance in account.instances
        if _kept(found, instance)
    ]
    located = [
        (instance, name)
        for instance, name in hosts
        if (subnet := subnets.get(instance["SubnetId"])) is not None and subnet["VpcId"] in known
    ]
    if not located:
        found.hosts += [_host(instance, name) for instance, name in hosts]
        if hosts:
            found.notes.append("no networks were described: they are what the addresses make likely")
        return to_fleet(found, vpc=vpc, prefix=prefix)
    for instance, name in hosts:
        if (instance, name) not in located:
            found.leave_out(name, f"its subnet {instance['SubnetId']} was not described")
    places = _Places(found, account, {instance["VpcId"] for instance, _ in located})
    instances: dict[str, Any] = {}
    taken: dict[tuple[str, str], str] = {}
    for instance, name in located:
        address = instance["PrivateIpAddress"]
        other = taken.setdefault((instance["VpcId"], address), name)
        if other != name:
            found.leave_out(name, f"{other} has its address {address}")
            continue
        form = instance_form(found, _host(instance, name), places.subnets[instance["SubnetId"]], {4: address})
        groups = [places.groups[each] for each in _group_ids(instance) if each in places.groups]
        if groups:
            form["security_groups"] = groups[:_MOST_GROUPS]
        instances[name] = form
    text = yaml_text({"vpcs": places.vpcs, "instances": instances})
    return ImportedFile(text, len(instances), tuple(found.notes))


def names_in(fleet: Fleet, account: str) -> Mapping[str, str]:
    """What a fleet file calls the things that EC2 describes, by their ids."""
    names = {each.id or derived_id(Kind.INSTANCE, account, each.name): each.name for each in fleet.instances}
    for vpc in fleet.vpcs:
        names[vpc.id or derived_id(Kind.VPC, account, vpc.name)] = vpc.name
        for kind, inside in (Kind.SUBNET, vpc.subnets), (Kind.SECURITY_GROUP, vpc.security_groups):
            for each in inside:
                names[each.id or derived_id(kind, account, f"{vpc.name}/{each.name}")] = each.name
    return names


def _kept(found: Found, instance: Described) -> bool:
    id_ = instance["InstanceId"]
    state = instance.get("State", {}).get("Name", "running")
    if state not in _STATES:
        found.leave_out(id_, f"it is {quoted(state)[1:-1]}")
    elif (
        address_of(instance.get("PrivateIpAddress") or "") is None
        or not instance.get("SubnetId")
        or not instance.get("VpcId")
    ):
        found.leave_out(id_, "it has no private IPv4 address in a VPC")
    else:
        return True
    return False


def _host(instance: Described, name: str) -> ImportedHost:
    return ImportedHost(
        name=name,
        address=instance["PrivateIpAddress"],
        id=instance["InstanceId"],
        state=_STATES[instance.get("State", {}).get("Name", "running")],
        instance_type=instance.get("InstanceType"),
        tags=_tags(instance),
    )


def _tags(thing: Described) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in thing.get("Tags", ())}


def _group_ids(instance: Described) -> list[str]:
    return [group["GroupId"] for group in instance.get("SecurityGroups", ())]


class _Places:
    """The networks that instances are in, in the words of the fleet file; and what each thing is called."""

    def __init__(self, found: Found, account: Ec2Account, used: set[str]) -> None:
        self._found = found
        self.vpcs: dict[str, Any] = {}
        self.subnets: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self._known = account.names
        names = _Names(account.names)
        kept: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for vpc in account.vpcs:
            if vpc["VpcId"] not in used:
                continue
            name = names.of(vpc, vpc["VpcId"])
            ranges = _ranges(vpc)
            networks = list(map(ipaddress.ip_network, ranges))
            form: dict[str, Any] = {"id": vpc["VpcId"], "cidr": ranges}
            if any(
                one.version == other.version and one.overlaps(other) for one in networks for other in kept
            ):
                form["separate_network"] = True
                found.say(name, "its ranges overlap another VPC's, so it is a separate network")
            else:
                kept += networks
            if tags := good_tags(found, name, _tags(vpc)):
                form["tags"] = tags
            form["subnets"] = self._subnets(name, vpc["VpcId"], account.subnets)
            if groups := self._groups(name, vpc["VpcId"], account.security_groups):
                form["security_groups"] = groups
            self.vpcs[name] = form

    def _subnets(self, vpc: str, vpc_id: str, subnets: Iterable[Described]) -> dict[str, Any]:
        names = _Names(self._known)
        forms: dict[str, Any] = {}
        for subnet in subnets:
            if subnet["VpcId"] != vpc_id:
                continue
            name = names.of(subnet, subnet["SubnetId"])
            self.subnets[subnet["SubnetId"]] = f"{vpc}/{name}"
            ranges = _ranges(subnet)
            forms[name] = {
                "id": subnet["SubnetId"],
                "cidr": ranges,
                "availability_zone": subnet["AvailabilityZone"],
            }
            if tags := good_tags(self._found, name, _tags(subnet)):
                forms[name]["tags"] = tags
        return forms

    def _groups(self, vpc: str, vpc_id: str, groups: Iterable[Described]) -> dict[str, Any]:
        names = _Names(self._known)
        here = [group for group in groups if group["VpcId"] == vpc_id]
        for group in here:
            name = names.of(group, group["GroupId"], group["GroupName"])
            self.groups[group["GroupId"]] = f"{vpc}/{name}"
        forms: dict[str, Any] = {}
        for group in here:
            path = self.groups[group["GroupId"]]
            form: dict[str, Any] = {"id": group["GroupId"]}
            if group.get("Description") and group["GroupName"] != DEFAULT_GROUP_NAME:
                form["description"] = group["Description"]
            form["ingress"] = self._rules(path, "source", group.get("IpPermissions", ()))
            form["egress"] = self._rules(path, "destination", group.get("IpPermissionsEgress", ()))
            if tags := good_tags(self._found, path, _tags(group)):
                form["tags"] = tags
            forms[path.partition("/")[2]] = form
        return forms

    def _rules(self, group: str, peer_key: str, permissions: Iterable[Described]) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = []
        lost = 0
        for permission in permissions:
            protocol = permission["IpProtocol"]
            if protocol not in ("tcp", "6", "-1"):
                continue
            head: dict[str, Any] = {"protocol": "all"}
            if protocol != "-1":
                low, high = permission.get("FromPort", 0), permission.get("ToPort", 65535)
                head = {"protocol": "tcp", "ports": low if low == high else f"{low}-{high}"}
            peers = [each["CidrIp"] for each in permission.get("IpRanges", ())]
            peers += [each["CidrIpv6"] for each in permission.get("Ipv6Ranges", ())]
            others = [each.get("GroupId", "") for each in permission.get("UserIdGroupPairs", ())]
            peers += [self.groups[each] for each in others if each in self.groups]
            lost += len(permission.get("PrefixListIds", ())) + sum(each not in self.groups for each in others)
            rules += [rule for peer in peers if (rule := {**head, peer_key: peer}) not in rules]
        if lost:
            self._found.say(group, f"rules for prefix lists and groups of other VPCs are left out ({lost})")
        return rules


def _ranges(thing: Described) -> list[str]:
    """The ranges of a VPC or subnet, which both are described alike."""
    ranges = [thing["CidrBlock"]] if thing.get("CidrBlock") else []
    ranges += [each["CidrBlock"] for each in thing.get("CidrBlockAssociationSet", ())]
    ranges += [each["Ipv6CidrBlock"] for each in thing.get("Ipv6CidrBlockAssociationSet", ())]
    return list(dict.fromkeys(ranges))


__all__ = ["Ec2Account", "ImportedFile", "NotImported", "import_ec2", "names_in"]
