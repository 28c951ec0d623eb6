"""Resolving the network: VPCs, subnets, security groups and instances; endpoints apart."""

from dataclasses import replace

from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.network import (
    ANY_ICMP_TYPE,
    ANY_PORT,
    DEFAULT_GROUP_NAME,
    ICMP,
    Instance,
    Rule,
    SecurityGroup,
    Subnet,
    Vpc,
    default_group,
)
from hatchway.fleet.declarations import (
    DeclaredInstance,
    DeclaredRule,
    DeclaredSecurityGroup,
    DeclaredVpc,
    Fleet,
)
from hatchway.fleet.directory import Directory, NamesBefore
from hatchway.fleet.draft import Draft
from hatchway.fleet.endpoint_resolution import name_gateways, resolve_endpoints
from hatchway.fleet.rule_resolution import Content, resolve_rules

_EVERYTHING_OUT = (Rule("-1", *ANY_PORT, "0.0.0.0/0"), Rule("-1", *ANY_PORT, "::/0"))
"""The egress of a group that says nothing of it (AWS: "Security group rules")."""


def resolve_network(draft: Draft, fleet: Fleet) -> None:
    """Puts the VPCs, instances and endpoints of the file into the draft."""
    names = NamesBefore.of(draft)
    for vpc, vpc_id in [(vpc, _resolve_vpc(draft, names, vpc)) for vpc in fleet.vpcs]:
        if vpc_id is not None:
            _resolve_inside(draft, names, vpc, vpc_id)
    directory = Directory.of(draft)
    declared_rules: dict[Content, DeclaredRule] = {}
    for vpc in fleet.vpcs:
        _resolve_rules(draft, directory, vpc, declared_rules)
    resolve_rules(draft, declared_rules)
    for instance in fleet.instances:
        _resolve_instance(draft, names, directory, instance)
    resolve_endpoints(draft, names, directory, fleet.endpoints)
    name_gateways(draft, fleet.gateway_dns_name)


def _resolve_vpc(draft: Draft, names: NamesBefore, vpc: DeclaredVpc) -> str | None:
    vpc_id = vpc.id or names.vpcs.get(vpc.name) or derived_id(Kind.VPC, draft.account, vpc.name)
    if not draft.claim("vpcs", vpc_id, vpc.place):
        return None
    draft.after.vpcs[vpc_id] = Vpc(
        id=vpc_id,
        name=vpc.name,
        cidrs=vpc.cidrs,
        separate_network=vpc.separate_network,
        gateway_dns_name=vpc.gateway_dns_name,
        attributes=vpc.attributes,
        tags=vpc.tags,
    )
    return vpc_id


def _resolve_inside(draft: Draft, names: NamesBefore, vpc: DeclaredVpc, vpc_id: str) -> None:
    for subnet in vpc.subnets:
        subnet_id = (
            subnet.id
            or names.subnets.get((vpc_id, subnet.name))
            or derived_id(Kind.SUBNET, draft.account, f"{vpc.name}/{subnet.name}")
        )
        if draft.claim("subnets", subnet_id, subnet.place) and _stays(draft, "subnets", subnet_id, vpc_id):
            draft.after.subnets[subnet_id] = Subnet(
                id=subnet_id,
                vpc_id=vpc_id,
                name=subnet.name,
                cidrs=subnet.cidrs,
                availability_zone=subnet.availability_zone or f"{draft.region}a",
                gateway_dns_name=subnet.gateway_dns_name,
                attributes=subnet.attributes,
                tags=subnet.tags,
            )
    for group in vpc.security_groups:
        group_id = group.id or _group_id(draft, names, vpc_id, vpc.name, group.name)
        if draft.claim("security_groups", group_id, group.place) and _stays(
            draft, "security_groups", group_id, vpc_id
        ):
            draft.after.security_groups[group_id] = _group_without_peers(group_id, vpc_id, group)
    if all(group.name != DEFAULT_GROUP_NAME for group in vpc.security_groups):
        group_id = _group_id(draft, names, vpc_id, vpc.name, DEFAULT_GROUP_NAME)
        draft.after.security_groups.setdefault(group_id, default_group(group_id, vpc_id))


def _stays(draft: Draft, table: str, key: str, vpc_id: str) -> bool:
    """Whether the row is new or of this VPC: ids do not move from a VPC that stays."""
    present = getattr(draft.before.rows, table).get(key)
    if present is None or present.vpc_id == vpc_id or present.vpc_id not in draft.after.vpcs:
        return True
    draft.problems.add(draft.places[table, key], f"has the id {key}, which is in {present.vpc_id}")
    return False


def _group_id(draft: Draft, names: NamesBefore, vpc_id: str, vpc_name: str, name: str) -> str:
    return names.security_groups.get((vpc_id, name)) or derived_id(
        Kind.SECURITY_GROUP, draft.account, f"{vpc_name}/{name}"
    )


def _group_without_peers(group_id: str, vpc_id: str, group: DeclaredSecurityGroup) -> SecurityGroup:
    """The group with the rules that it has unless told otherwise; those that it is told come later."""
    if group.name == DEFAULT_GROUP_NAME:
        base = default_group(group_id, vpc_id)
    else:
        base = SecurityGroup(
            id=group_id, vpc_id=vpc_id, name=group.name, description="", egress=_EVERYTHING_OUT
        )
    return SecurityGroup(
        id=group_id,
        vpc_id=vpc_id,
        name=group.name,
        description=base.description if group.description is None else group.description,
        ingress=base.ingress if group.ingress is None else (),
        egress=base.egress if group.egress is None else (),
        tags=group.tags,
    )


def _resolve_rules(
    draft: Draft, directory: Directory, vpc: DeclaredVpc, declared_rules: dict[Content, DeclaredRule]
) -> None:
    for declared in vpc.security_groups:
        group_id = directory.security_groups.get(f"{vpc.name}/{declared.name}")
        group = draft.after.security_groups.get(group_id or "")
        if group is None:
            continue
        ingress = _rules(directory, group.vpc_id, declared.ingress, "source")
        egress = _rules(directory, group.vpc_id, declared.egress, "destination")
        draft.after.security_groups[group.id] = replace(
            group,
            ingress=group.ingress if ingress is None else tuple(ingress),
            egress=group.egress if egress is None else tuple(egress),
        )
        for rules, is_egress in ((ingress, False), (egress, True)):
            declared_rules |= {(group.id, is_egress, rule): said for rule, said in (rules or {}).items()}


def _rules(
    directory: Directory, vpc_id: str, rules: tuple[DeclaredRule, ...] | None, peer_key: str
) -> dict[Rule, DeclaredRule] | None:
    """The rules, each with its declaration; a rule that is declared twice, under two names, is one."""
    if rules is None:
        return None
    found: dict[Rule, DeclaredRule] = {}
    for rule in rules:
        peer: str | None = rule.peer.text
        if not rule.peer.is_range:
            peer = directory.security_group(rule.peer.text, vpc_id, f"{rule.place}.{peer_key}")
        if peer is not None:
            ports = ANY_ICMP_TYPE if rule.protocol in ICMP else rule.ports
            found[Rule(rule.protocol, *ports, peer)] = rule
    return found


def _resolve_instance(
    draft: Draft, names: NamesBefore, directory: Directory, declared: DeclaredInstance
) -> None:
    subnet = directory.subnet(declared.subnet, f"{declared.place}.subnet")
    if subnet is None:
        return
    groups = directory.groups_of(declared.security_groups, subnet.vpc_id, declared.place)
    instance_id = (
        declared.id
        or names.instances.get(declared.name)
        or derived_id(Kind.INSTANCE, draft.account, declared.name)
    )
    if not draft.claim("instances", instance_id, declared.place):
        return
    present = draft.before.rows.instances.get(instance_id)
    draft.after.instances[instance_id] = Instance(
        id=instance_id,
        name=declared.name,
        vpc_id=subnet.vpc_id,
        subnet_id=subnet.id,
        private_ip=declared.private_ip,
        ipv6=declared.ipv6,
        # A group that does not resolve must not keep its address from being checked.
        security_group_ids=groups or (),
        state=declared.state,
        instance_type=declared.instance_type,
        registered_at=draft.now if present is None else present.registered_at,
        # Not even a file that was exported makes of it what somebody decided.
        registered_itself=present is not None and present.registered_itself,
        tags=declared.tags,
    )
