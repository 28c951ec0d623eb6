"""What names and ids stand for: in the account as it was, and as it should be."""

from dataclasses import dataclass, field

from hatchway.domain.network import DEFAULT_GROUP_NAME, SecurityGroup, Subnet
from hatchway.fleet.draft import Draft


@dataclass(slots=True)
class NamesBefore:
    """The ids of what the account has, by names: what has a name keeps its id."""

    vpcs: dict[str, str] = field(default_factory=dict)
    subnets: dict[tuple[str, str], str] = field(default_factory=dict)
    security_groups: dict[tuple[str, str], str] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, draft: Draft) -> "NamesBefore":
        rows = draft.before.rows
        return cls(
            {vpc.name: vpc.id for vpc in rows.vpcs.values()},
            {(subnet.vpc_id, subnet.name): subnet.id for subnet in rows.subnets.values()},
            {(group.vpc_id, group.name): group.id for group in rows.security_groups.values()},
            {instance.name: instance.id for instance in rows.instances.values()},
            {endpoint.name: endpoint.id for endpoint in rows.endpoints.values() if endpoint.name},
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
