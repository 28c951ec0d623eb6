"""Resolving the network: VPCs, subnets, security groups, instances, endpoints."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME
from hatchway.domain.endpoint_creation import (
    CannotCreateEndpoint,
    EndpointOrder,
    interface_id_of,
    modified_endpoint,
    new_endpoint,
)
from hatchway.domain.gateway_names import endpoint_dns_name, name_problem
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
from hatchway.domain.service_linked_role import service_linked_role
from hatchway.fleet.declarations import (
    DeclaredEndpoint,
    DeclaredInstance,
    DeclaredRule,
    DeclaredSecurityGroup,
    DeclaredVpc,
    Fleet,
)
from hatchway.fleet.draft import Draft
from hatchway.fleet.rule_resolution import Content, resolve_rules

_EVERYTHING_OUT = (Rule("-1", *ANY_PORT, "0.0.0.0/0"), Rule("-1", *ANY_PORT, "::/0"))
"""The egress of a group that says nothing of it (AWS: "Security group rules")."""


def resolve_network(draft: Draft, fleet: Fleet) -> None:
    """Puts the VPCs, instances and endpoints of the file into the draft."""
    names = _NamesBefore.of(draft)
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
    _resolve_endpoints(draft, names, directory, fleet.endpoints)
    _name_gateways(draft, fleet.gateway_dns_name)


@dataclass(slots=True)
class _NamesBefore:
    """The ids of what the account has, by names: what has a name keeps its id."""

    vpcs: dict[str, str] = field(default_factory=dict)
    subnets: dict[tuple[str, str], str] = field(default_factory=dict)
    security_groups: dict[tuple[str, str], str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, draft: Draft) -> "_NamesBefore":
        rows = draft.before.rows
        return cls(
            {vpc.name: vpc.id for vpc in rows.vpcs.values()},
            {(subnet.vpc_id, subnet.name): subnet.id for subnet in rows.subnets.values()},
            {(group.vpc_id, group.name): group.id for group in rows.security_groups.values()},
            {instance.name: instance.id for instance in rows.instances.values()},
            {endpoint.name: endpoint.id for endpoint in rows.endpoints.values() if endpoint.name},
        )


def _resolve_vpc(draft: Draft, names: _NamesBefore, vpc: DeclaredVpc) -> str | None:
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


def _resolve_inside(draft: Draft, names: _NamesBefore, vpc: DeclaredVpc, vpc_id: str) -> None:
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


def _group_id(draft: Draft, names: _NamesBefore, vpc_id: str, vpc_name: str, name: str) -> str:
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


@dataclass(slots=True)
class Directory:
    """Names and ids in the account as it should be."""

    draft: Draft
    vpc_names: dict[str, str] = field(default_factory=dict)
    subnets: dict[str, str] = field(default_factory=dict)
    security_groups: dict[str, str] = field(default_factory=dict)
    before_subnets: frozenset[str] = frozenset()
    before_security_groups: frozenset[str] = frozenset()

    @classmethod
    def of(cls, draft: Draft) -> "Directory":
        after, before = draft.after, draft.before.rows
        vpc_names = {vpc.id: vpc.name for vpc in after.vpcs.values()}
        old_names = {vpc.id: vpc.name for vpc in before.vpcs.values()}
        return cls(
            draft,
            vpc_names,
            _paths(vpc_names, after.subnets),
            _paths(vpc_names, after.security_groups),
            frozenset(_paths(old_names, before.subnets)) | before.subnets.keys(),
            frozenset(_paths(old_names, before.security_groups)) | before.security_groups.keys(),
        )

    def subnet(self, reference: str, place: str) -> Subnet | None:
        """The subnet that `vpc/name` or an id names."""
        found = self.draft.after.subnets.get(self.subnets.get(reference, reference))
        if found is None:
            pruned = reference in self.before_subnets
            self.draft.unresolved(place, reference, "subnet", self.subnets, pruned=pruned)
        return found

    def security_group(self, reference: str, vpc_id: str, place: str) -> str | None:
        """The id of the group that `vpc/name`, an id, or within its own VPC the bare name names."""
        groups = self.draft.after.security_groups
        path = reference if "/" in reference else f"{self.vpc_names.get(vpc_id)}/{reference}"
        group = groups.get(reference) or groups.get(self.security_groups.get(path, ""))
        if group is None:
            pruned = reference in self.before_security_groups
            self.draft.unresolved(place, reference, "security group", self.security_groups, pruned=pruned)
            return None
        if group.vpc_id != vpc_id:
            self.draft.problems.add(place, f"security group {reference!r} is of another VPC")
            return None
        return group.id

    def groups_of(
        self, references: tuple[str, ...] | None, vpc_id: str, place: str
    ) -> tuple[str, ...] | None:
        """The ids of groups, the VPC's default one when none are given; None when one does not resolve."""
        if references is None:
            ids = [self.security_group(DEFAULT_GROUP_NAME, vpc_id, place)]
        else:
            ids = [
                self.security_group(reference, vpc_id, f"{place}.security_groups[{index}]")
                for index, reference in enumerate(references)
            ]
        found = tuple(dict.fromkeys(group_id for group_id in ids if group_id is not None))
        return found if None not in ids else None


def _paths(vpc_names: dict[str, str], nouns: dict[str, Subnet] | dict[str, SecurityGroup]) -> dict[str, str]:
    return {f"{vpc_names.get(noun.vpc_id)}/{noun.name}": noun.id for noun in nouns.values()}


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
    draft: Draft, names: _NamesBefore, directory: Directory, declared: DeclaredInstance
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


def _resolve_endpoints(
    draft: Draft, names: _NamesBefore, directory: Directory, endpoints: tuple[DeclaredEndpoint, ...]
) -> None:
    orders = []
    # In the order of names: which address an endpoint finds free must not depend on the order of the file.
    for declared in sorted(endpoints, key=lambda endpoint: endpoint.name):
        order = _endpoint_order(draft, names, directory, declared)
        if order is not None and draft.claim("endpoints", order.endpoint_id, declared.place):
            orders.append((declared, order))
    if not orders:
        return
    taken = _addresses_in_use(draft, frozenset(order.endpoint_id for _, order in orders))
    for _, order in orders:
        taken[order.subnet.vpc_id].update(order.addresses.values())
    # Those that are there choose first: none loses its address to a newcomer.
    there = draft.before.rows.endpoints
    for declared, order in sorted(orders, key=lambda pair: pair[1].endpoint_id not in there):
        _put_endpoint(draft, declared, order, taken[order.subnet.vpc_id])
    if SERVICE_LINKED_ROLE_NAME not in draft.after.roles:
        draft.after.roles[SERVICE_LINKED_ROLE_NAME] = service_linked_role(draft.account, draft.now)


def _endpoint_order(
    draft: Draft, names: _NamesBefore, directory: Directory, declared: DeclaredEndpoint
) -> EndpointOrder | None:
    subnet = directory.subnet(declared.subnet, f"{declared.place}.subnet")
    if subnet is None:
        return None
    groups = directory.groups_of(declared.security_groups, subnet.vpc_id, declared.place)
    if groups is None:
        return None
    endpoint_id = (
        declared.id
        or names.endpoints.get(declared.name)
        or derived_id(Kind.ENDPOINT, draft.account, declared.name)
    )
    return EndpointOrder(
        account=draft.account,
        endpoint_id=endpoint_id,
        subnet=subnet,
        security_group_ids=groups,
        # As all others, it gets its name in the end.
        dns_name="",
        preserve_client_ip=declared.preserve_client_ip,
        proxy_protocol=declared.proxy_protocol,
        ip_address_type=declared.ip_address_type,
        # Whose name is its id was made through the API, and has none.
        name=None if declared.name == endpoint_id else declared.name,
        max_tunnels=declared.max_tunnels,
        gateway_dns_name=declared.gateway_dns_name,
        addresses={
            version: address
            for version, address in ((4, declared.private_ip), (6, declared.ipv6))
            if address is not None
        },
        tags=declared.tags,
    )


def _name_gateways(draft: Draft, of_account: str | None) -> None:
    """Has every endpoint the DNS name that its gateways have now, those not named in the file too."""
    after = draft.after
    account = draft.before.account
    if of_account is not None:
        account = replace(account, gateway_dns_name=of_account)
    for endpoint in list(after.endpoints.values()):
        vpc, subnet = after.vpcs.get(endpoint.vpc_id), after.subnets.get(endpoint.subnet_id)
        dns_name = endpoint_dns_name(endpoint.id, account, vpc, subnet, endpoint.gateway_dns_name)
        if endpoint.dns_name != dns_name:
            if problem := name_problem(endpoint.id, dns_name):
                place = draft.place_of("endpoints", endpoint.id) or "gateway_dns_name"
                draft.problems.add(place, f"the endpoint {problem}")
                continue
            draft.after.endpoints[endpoint.id] = replace(endpoint, dns_name=dns_name)


def _addresses_in_use(draft: Draft, moving: frozenset[str]) -> defaultdict[str, set[str]]:
    """The addresses that are taken in each VPC, except those of the endpoints in `moving`."""
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for instance in draft.after.instances.values():
        taken[instance.vpc_id].update(instance.addresses)
    for interface in draft.after.network_interfaces.values():
        if interface.endpoint_id not in moving:
            taken[interface.vpc_id].update(filter(None, (interface.private_ip, interface.ipv6)))
    return taken


def _put_endpoint(draft: Draft, declared: DeclaredEndpoint, order: EndpointOrder, taken: set[str]) -> None:
    rows = draft.before.rows
    endpoint = rows.endpoints.get(order.endpoint_id)
    if endpoint is not None and endpoint.subnet_id != order.subnet.id:
        draft.problems.add(
            f"{declared.place}.subnet",
            "an endpoint stays in its subnet: give the one in this subnet a name of its own",
        )
        return
    interface_ids = (
        endpoint.network_interface_ids if endpoint else (interface_id_of(draft.account, order.endpoint_id),)
    )
    interface = rows.network_interfaces.get(interface_ids[0]) if interface_ids else None
    try:
        if endpoint is None or interface is None:
            endpoint, interface = new_endpoint(order, taken=taken, now=draft.now)
        else:
            endpoint, interface = modified_endpoint(endpoint, interface, order, taken=taken)
    except CannotCreateEndpoint as error:
        draft.problems.add(declared.place, f"the endpoint {error}")
        return
    for version, address in order.addresses.items():
        if address not in (interface.private_ip, interface.ipv6):
            draft.problems.add(
                declared.place,
                f"{address} is an IPv{version} address, and the endpoint is {endpoint.ip_address_type}",
            )
    taken.update(filter(None, (interface.private_ip, interface.ipv6)))
    draft.after.endpoints[endpoint.id] = endpoint
    draft.after.network_interfaces[interface.id] = interface
