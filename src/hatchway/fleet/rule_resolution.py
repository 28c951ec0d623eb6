"""Resolving what else there is to the rules of security groups: their ids, descriptions and tags."""

from dataclasses import replace

from hatchway.domain.network import Rule, SecurityGroup, SecurityGroupRule, derived_rule
from hatchway.fleet.declarations import DeclaredRule
from hatchway.fleet.draft import Draft

Content = tuple[str, bool, Rule]
"""Of a rule, its group's id, whether it is an egress rule, and what it says."""


def resolve_rules(draft: Draft, declared: dict[Content, DeclaredRule]) -> None:
    """Has the draft one row for each rule of its groups: the one that there is, or a new one."""
    before, rows = draft.before.rows, draft.after.security_group_rules
    known = {(row.group_id, row.egress, row.rule): row for row in before.security_group_rules.values()}
    groups = {
        group_id: group
        for group_id, group in draft.after.security_groups.items()
        if before.security_groups.get(group_id) is not group
    }
    for key, row in list(rows.items()):
        if row.group_id in groups or row.group_id not in draft.after.security_groups:
            del rows[key]
    for group in groups.values():
        for content in _contents(group):
            _resolve_rule(draft, content, known.get(content), declared.get(content))


def _contents(group: SecurityGroup) -> list[Content]:
    return [(group.id, False, rule) for rule in group.ingress] + [
        (group.id, True, rule) for rule in group.egress
    ]


def _resolve_rule(
    draft: Draft, content: Content, known: SecurityGroupRule | None, declared: DeclaredRule | None
) -> None:
    group_id, egress, rule = content
    row = known or derived_rule(draft.account, group_id, rule, egress=egress)
    if declared is not None:
        row = replace(row, id=declared.id or row.id, description=declared.description, tags=declared.tags)
    other = draft.after.security_group_rules.setdefault(row.id, row)
    if other is not row and declared is not None and (other.group_id, other.egress, other.rule) != content:
        draft.problems.add(declared.place, f"has the id {row.id}, which another rule has too")
