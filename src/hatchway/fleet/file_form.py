"""Nouns in the words of the fleet file: what an export writes, and what a plan compares.

Every key of the file is there, also where it says no more than the default: the plan tells both values of
what changes. `without_defaults` leaves out what is implied.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from hatchway.domain.account import Quotas
from hatchway.domain.endpoint import Endpoint, IpAddressType
from hatchway.domain.identity import Group, ManagedPolicy, OwnerKind, Role, User
from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.network import (
    ANY_PORT,
    DEFAULT_GROUP_NAME,
    PROTOCOLS_WITH_PORTS,
    Instance,
    InstanceState,
    Rule,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
    default_group,
    derived_rule,
)
from hatchway.fleet.account_view import AccountView, Owner
from hatchway.fleet.identity_sections import DEFAULT_SESSION

Form = dict[str, Any]

_DEFAULTS: Final[Mapping[str, Any]] = {
    "path": "/",
    "description": "",
    "state": str(InstanceState.RUNNING),
    "preserve_client_ip": False,
    "separate_network": False,
    "max_session_duration": DEFAULT_SESSION,
    **asdict(Quotas()),
}
_ALWAYS: Final = frozenset({"ingress", "egress"})
"""Lists that mean something when they are empty."""


class FileForms:
    """The forms of one view's nouns. References are by name."""

    def __init__(self, view: AccountView) -> None:
        self._account = view.account.id
        self._view = view
        rows = view.rows
        vpc_names = {vpc.id: vpc.name for vpc in rows.vpcs.values()}
        self._subnets = _paths(vpc_names, rows.subnets)
        self._groups = _paths(vpc_names, rows.security_groups)
        self._attachments: defaultdict[Owner, list[str]] = defaultdict(list)
        for attachment in rows.attachments.values():
            owner = (attachment.owner_kind, attachment.owner_name)
            self._attachments[owner].append(self.policy_name(attachment.policy_arn))
        self._inline: defaultdict[Owner, dict[str, str]] = defaultdict(dict)
        for inline in rows.inline_policies.values():
            self._inline[inline.owner_kind, inline.owner_name][inline.policy_name] = inline.document
        self._rules: defaultdict[str, dict[tuple[bool, Rule], SecurityGroupRule]] = defaultdict(dict)
        for row in rows.security_group_rules.values():
            self._rules[row.group_id][row.egress, row.rule] = row
        self._memberships: defaultdict[str, list[str]] = defaultdict(list)
        for membership in rows.memberships.values():
            self._memberships[membership.user_name].append(membership.group_name)

    # Names and references

    def subnet_path(self, subnet_id: str) -> str:
        return self._subnets.get(subnet_id, subnet_id)

    def group_path(self, group_id: str) -> str:
        return self._groups.get(group_id, group_id)

    def policy_name(self, arn: str) -> str:
        policy = self._view.rows.managed_policies.get(arn)
        return policy.name if policy else arn

    def _id(self, kind: Kind, name: str, id_: str) -> str | None:
        """The id, unless it follows from the name."""
        return None if derived_id(kind, self._account, name) == id_ else id_

    # The network

    def vpc(self, vpc: Vpc) -> Form:
        return {
            "id": self._id(Kind.VPC, vpc.name, vpc.id),
            "cidr": _one_or_list(vpc.cidrs),
            "separate_network": vpc.separate_network,
            "gateway_dns_name": vpc.gateway_dns_name,
            "attributes": dict(vpc.attributes),
            "tags": dict(vpc.tags),
        }

    def subnet(self, subnet: Subnet) -> Form:
        return {
            "id": self._id(Kind.SUBNET, self.subnet_path(subnet.id), subnet.id),
            "cidr": _one_or_list(subnet.cidrs),
            "availability_zone": subnet.availability_zone,
            "gateway_dns_name": subnet.gateway_dns_name,
            "attributes": dict(subnet.attributes),
            "tags": dict(subnet.tags),
        }

    def security_group(self, group: SecurityGroup) -> Form:
        return {
            "id": self._id(Kind.SECURITY_GROUP, self.group_path(group.id), group.id),
            "description": group.description,
            "ingress": [self._rule(group, rule, egress=False) for rule in group.ingress],
            "egress": [self._rule(group, rule, egress=True) for rule in group.egress],
            "tags": dict(group.tags),
        }

    def is_implied(self, group: SecurityGroup) -> bool:
        """Whether it is the default group of its VPC, as every VPC has it."""
        return (
            group.name == DEFAULT_GROUP_NAME
            and self._id(Kind.SECURITY_GROUP, self.group_path(group.id), group.id) is None
            and group == default_group(group.id, group.vpc_id)
            and all(self._is_plain(rule) for rule in self._rules[group.id].values())
        )

    def _is_plain(self, rule: SecurityGroupRule) -> bool:
        """Whether there is no more to a rule than what it says."""
        return rule == derived_rule(self._account, rule.group_id, rule.rule, egress=rule.egress)

    def _rule(self, group: SecurityGroup, rule: Rule, *, egress: bool) -> Form:
        form: Form = {"protocol": "all" if rule.protocol == "-1" else rule.protocol}
        if rule.protocol in PROTOCOLS_WITH_PORTS:
            low, high = rule.from_port, rule.to_port
            form["ports"] = "all" if (low, high) == ANY_PORT else low if low == high else f"{low}-{high}"
        form["destination" if egress else "source"] = self.group_path(rule.peer)
        row = self._rules[group.id].get((egress, rule))
        if row is not None and not self._is_plain(row):
            derived = derived_rule(self._account, group.id, rule, egress=egress)
            more = {
                "id": None if row.id == derived.id else row.id,
                "description": row.description,
                "tags": dict(row.tags),
            }
            form |= {key: value for key, value in more.items() if value}
        return form

    def instance(self, instance: Instance) -> Form:
        return {
            "id": self._id(Kind.INSTANCE, instance.name, instance.id),
            "subnet": self.subnet_path(instance.subnet_id),
            "private_ip": instance.private_ip,
            "ipv6": instance.ipv6,
            "security_groups": [self.group_path(group) for group in instance.security_group_ids],
            "state": str(instance.state),
            "instance_type": instance.instance_type,
            "tags": dict(instance.tags),
        }

    def endpoint(self, endpoint: Endpoint) -> Form:
        interfaces = self._view.rows.network_interfaces
        interface = next(
            (interfaces[key] for key in endpoint.network_interface_ids if key in interfaces), None
        )
        return {
            "id": self._id(Kind.ENDPOINT, endpoint.name or "", endpoint.id),
            "subnet": self.subnet_path(endpoint.subnet_id),
            "security_groups": [self.group_path(group) for group in endpoint.security_group_ids],
            "preserve_client_ip": endpoint.preserve_client_ip,
            "proxy_protocol": endpoint.proxy_protocol and str(endpoint.proxy_protocol),
            "ip_address_type": str(IpAddressType(endpoint.ip_address_type)),
            "max_tunnels": endpoint.max_tunnels,
            "gateway_dns_name": endpoint.gateway_dns_name,
            "private_ip": interface and interface.private_ip,
            "ipv6": interface and interface.ipv6,
            "tags": dict(endpoint.tags),
        }

    # Identities

    def policy(self, policy: ManagedPolicy) -> Form:
        version = self._view.rows.policy_versions.get((policy.arn, policy.default_version))
        return {
            "id": self._id(Kind.MANAGED_POLICY, policy.name, policy.id),
            "path": policy.path,
            "description": policy.description,
            "document": version and version.document,
            "tags": dict(policy.tags),
        }

    def group(self, group: Group) -> Form:
        return {
            "id": self._id(Kind.GROUP, group.name, group.id),
            "path": group.path,
            **self._permissions((OwnerKind.GROUP, group.name)),
        }

    def user(self, user: User) -> Form:
        return {
            "id": self._id(Kind.USER, user.name, user.id),
            "path": user.path,
            "groups": sorted(self._memberships[user.name]),
            **self._permissions((OwnerKind.USER, user.name)),
            "permissions_boundary": self._boundary(user),
            "tags": dict(user.tags),
        }

    def role(self, role: Role) -> Form:
        return {
            "id": self._id(Kind.ROLE, role.name, role.id),
            "path": role.path,
            "description": role.description,
            "trust": role.trust_policy,
            **self._permissions((OwnerKind.ROLE, role.name)),
            "permissions_boundary": self._boundary(role),
            "max_session_duration": role.max_session_duration,
            "tags": dict(role.tags),
        }

    def _permissions(self, owner: Owner) -> Form:
        return {
            "policies": sorted(self._attachments[owner]),
            "inline": dict(sorted(self._inline[owner].items())),
        }

    def _boundary(self, identity: User | Role) -> str | None:
        arn = identity.permissions_boundary
        return None if arn is None else self.policy_name(arn)

    def account(self) -> Form:
        """What the file says of the account itself."""
        return {
            "account_alias": next(iter(self._view.rows.account_aliases), None),
            "gateway_dns_name": self._view.account.gateway_dns_name,
            "quotas": asdict(self._view.account.quotas),
            "end_tunnels_with_credentials": self._view.account.end_tunnels_with_credentials,
            "guardrails": sorted(self.policy_name(arn) for arn in self._view.rows.guardrails),
        }


def _paths(vpc_names: Mapping[str, str], nouns: Mapping[str, Subnet | SecurityGroup]) -> dict[str, str]:
    return {key: f"{vpc_names.get(noun.vpc_id, noun.vpc_id)}/{noun.name}" for key, noun in nouns.items()}


def _one_or_list(texts: tuple[str, ...]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else list(texts)


def without_defaults(form: Form) -> Form:
    """The form without what is so anyway when the file does not say it."""
    return {
        key: value
        for key, value in form.items()
        if key in _ALWAYS or (value not in (None, {}, []) and value != _DEFAULTS.get(key))
    }
