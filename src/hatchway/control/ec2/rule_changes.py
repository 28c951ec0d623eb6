"""Rules of security groups given, changed and taken away (AWS: "Security group rules")."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from hatchway.access.authorization import Check
from hatchway.access.context import request_tag_keys
from hatchway.control.ec2.resources import SECURITY_GROUP_RULES, SECURITY_GROUPS
from hatchway.control.ec2.rule_requests import (
    NO_CLASSIC,
    NO_PEERING,
    NO_PREFIX_LISTS,
    RequestedRule,
    check_description,
    is_group,
    read_permissions,
    read_rule,
    revoked_results,
    rule_results,
)
from hatchway.control.ec2.tags import read_tags
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.network import Rule, SecurityGroup, SecurityGroupRule
from hatchway.protocol import ServiceError

_UNSUPPORTED: Final = {**NO_PREFIX_LISTS, **NO_CLASSIC, **NO_PEERING}
_OF_EGRESS: Final = {name: values for name, values in _UNSUPPORTED.items() if name != "GroupName"}
_DESCRIPTIONS: Final = {
    name: values for name, values in _UNSUPPORTED.items() if not name.startswith("SourceSecurityGroup")
}


@operation("ec2", "AuthorizeSecurityGroupIngress", reads_only=False, unsupported=_UNSUPPORTED)
def authorize_security_group_ingress(call: Call) -> Result:
    """Adds rules for what may enter."""
    return _authorize(call, "AuthorizeSecurityGroupIngress", egress=False)


@operation("ec2", "AuthorizeSecurityGroupEgress", reads_only=False, unsupported=_OF_EGRESS)
def authorize_security_group_egress(call: Call) -> Result:
    """Adds rules for what may leave."""
    return _authorize(call, "AuthorizeSecurityGroupEgress", egress=True)


@operation("ec2", "RevokeSecurityGroupIngress", reads_only=False, unsupported=_UNSUPPORTED)
def revoke_security_group_ingress(call: Call) -> Result:
    """Takes away rules for what may enter."""
    return _revoke(call, "RevokeSecurityGroupIngress", egress=False)


@operation("ec2", "RevokeSecurityGroupEgress", reads_only=False, unsupported=_OF_EGRESS)
def revoke_security_group_egress(call: Call) -> Result:
    """Takes away rules for what may leave."""
    return _revoke(call, "RevokeSecurityGroupEgress", egress=True)


@operation("ec2", "UpdateSecurityGroupRuleDescriptionsIngress", reads_only=False, unsupported=_DESCRIPTIONS)
def update_descriptions_of_ingress(call: Call) -> Result:
    """Describes rules for what may enter anew."""
    return _describe_anew(call, "UpdateSecurityGroupRuleDescriptionsIngress", egress=False)


@operation("ec2", "UpdateSecurityGroupRuleDescriptionsEgress", reads_only=False, unsupported=_DESCRIPTIONS)
def update_descriptions_of_egress(call: Call) -> Result:
    """Describes rules for what may leave anew."""
    return _describe_anew(call, "UpdateSecurityGroupRuleDescriptionsEgress", egress=True)


@operation(
    "ec2",
    "ModifySecurityGroupRules",
    reads_only=False,
    unsupported={"SecurityGroupRules.SecurityGroupRule.PrefixListId": ()},
)
def modify_security_group_rules(call: Call) -> Result:
    """Has rules of one group say something else; each keeps its id, direction and tags."""
    asked = {
        update["SecurityGroupRuleId"]: read_rule(update.get("SecurityGroupRule") or {})
        for update in call.parameters["SecurityGroupRules"]
    }
    if len(asked) < len(call.parameters["SecurityGroupRules"]) or not asked:
        raise ServiceError("InvalidParameterValue", "Every security group rule must be there once")
    group_id, group = _group_of(call)
    SECURITY_GROUP_RULES.id.check(*asked)
    known = {rule_id: call.tx.security_group_rules.get(rule_id) for rule_id in asked}

    action = "ModifySecurityGroupRules"
    call.authorize(
        SECURITY_GROUPS.check(call, action, group_id, group),
        *(SECURITY_GROUP_RULES.check(call, action, rule_id, rule) for rule_id, rule in known.items()),
    )

    group = SECURITY_GROUPS.required(group, group_id)
    _check_peers(call, group, asked.values())
    changed = [_changed(rule, asked[rule_id]) for rule_id, rule in _of_group(group, known).items()]
    rows = {row.id: row for row in call.tx.security_group_rules.find(group_id=group_id)}
    rows |= {row.id: row for row in changed}
    contents = [(row.egress, row.rule) for row in rows.values()]
    for row in changed:
        if contents.count((row.egress, row.rule)) > 1:
            raise _duplicate(row.rule)
    _put(call, group, rows.values(), changed)
    return {"Return": True}


def _authorize(call: Call, action: str, *, egress: bool) -> Result:
    asked = read_permissions(call)
    if not asked:
        raise ServiceError("MissingParameter", "The request must contain the parameter ipPermissions")
    tags = read_tags(call.parameters.get("TagSpecifications") or (), SECURITY_GROUP_RULES.type)
    group_id, group = _group_of(call)

    new_rule = call.arns.security_group_rule("*")
    keys = {**SECURITY_GROUPS.context(call, group), **request_tag_keys(tags)}
    checks = [Check(f"ec2:{action}", (call.arns.security_group(group_id),), (new_rule,), keys)]
    if tags:
        made = {**request_tag_keys(tags), "ec2:CreateAction": action}
        checks.append(Check("ec2:CreateTags", (new_rule,), context=made))
    call.authorize(*checks)

    group = SECURITY_GROUPS.required(group, group_id)
    _check_peers(call, group, asked)
    present = group.egress if egress else group.ingress
    for one in asked:
        if one.rule in present:
            raise _duplicate(one.rule)
    most = call.tx.account().quotas.rules_per_security_group
    if len(present) + len(asked) > most:
        raise ServiceError(
            "RulesPerSecurityGroupLimitExceeded",
            f"The maximum number of rules per security group, {most} in each direction, has been reached.",
        )
    made_rules = [
        SecurityGroupRule(
            id=new_id(Kind.SECURITY_GROUP_RULE, call.random_bytes(16)),
            group_id=group_id,
            egress=egress,
            protocol=one.rule.protocol,
            from_port=one.rule.from_port,
            to_port=one.rule.to_port,
            peer=one.rule.peer,
            description=one.description or "",
            tags=tags,
        )
        for one in asked
    ]
    rules = (*present, *(one.rule for one in asked))
    call.tx.security_group_rules.put_all(made_rules)
    call.tx.security_groups.put(replace(group, egress=rules) if egress else replace(group, ingress=rules))
    return {"Return": True, "SecurityGroupRules": rule_results(call, made_rules)}


def _revoke(call: Call, action: str, *, egress: bool) -> Result:
    group_id, group = _group_of(call)
    named = _rules_named(call, call.parameters.get("SecurityGroupRuleIds") or ())

    call.authorize(SECURITY_GROUPS.check(call, action, group_id, group))

    group = SECURITY_GROUPS.required(group, group_id)
    gone = _chosen(call, group, named, egress=egress)
    contents = {rule.rule for rule, _ in gone}
    kept = tuple(rule for rule in (group.egress if egress else group.ingress) if rule not in contents)
    call.tx.security_groups.put(replace(group, egress=kept) if egress else replace(group, ingress=kept))
    return {"Return": True, "RevokedSecurityGroupRules": revoked_results(rule for rule, _ in gone)}


def _describe_anew(call: Call, action: str, *, egress: bool) -> Result:
    descriptions = {
        one.get("SecurityGroupRuleId") or "": check_description(one.get("Description") or "")
        for one in call.parameters.get("SecurityGroupRuleDescriptions") or ()
    }
    group_id, group = _group_of(call)
    named = _rules_named(call, list(descriptions))

    call.authorize(SECURITY_GROUPS.check(call, action, group_id, group))

    group = SECURITY_GROUPS.required(group, group_id)
    changed = [
        replace(rule, description=descriptions.get(rule.id, description or ""))
        for rule, description in _chosen(call, group, named, egress=egress)
    ]
    call.tx.security_group_rules.put_all(changed)
    # So that whoever has read the account sees that it is another.
    call.tx.security_groups.put(group)
    return {"Return": True}


Named = Mapping[str, SecurityGroupRule | None]
"""Rules by the ids that a request gives; None where there is none."""


def _group_of(call: Call) -> tuple[str, SecurityGroup | None]:
    group_id = call.parameters.get("GroupId")
    if not group_id:
        raise ServiceError("MissingParameter", "The request must contain the parameter groupId")
    return group_id, SECURITY_GROUPS.find(call, group_id)


def _rules_named(call: Call, ids: Sequence[str]) -> Named:
    SECURITY_GROUP_RULES.id.check(*ids)
    return {rule_id: call.tx.security_group_rules.get(rule_id) for rule_id in ids}


def _chosen(
    call: Call, group: SecurityGroup, named: Named, *, egress: bool
) -> list[tuple[SecurityGroupRule, str | None]]:
    """The rules of a group in one direction that a request means, each with what it says it is for.

    Raises:
        ServiceError: it means none, or one that the group does not have.
    """
    if named:
        if call.parameters.get("IpPermissions"):
            raise ServiceError(
                "InvalidParameterCombination",
                "Rules are named either by ids or by ipPermissions, not by both",
            )
        found = _of_group(group, named)
        wrong = [rule_id for rule_id, rule in found.items() if rule.egress != egress]
        if wrong:
            raise SECURITY_GROUP_RULES.id.missing(wrong)
        return [(rule, None) for rule in found.values()]
    asked = read_permissions(call)
    if not asked:
        raise ServiceError("MissingParameter", "The request must contain ipPermissions or ids of rules")
    rows = {
        row.rule: row for row in call.tx.security_group_rules.find(group_id=group.id) if row.egress == egress
    }
    for one in asked:
        if one.rule not in rows:
            raise ServiceError(
                "InvalidPermission.NotFound", "The specified rule does not exist in this security group."
            )
    return [(rows[one.rule], one.description) for one in asked]


def _of_group(group: SecurityGroup, named: Named) -> dict[str, SecurityGroupRule]:
    """
    Raises:
        ServiceError: the group does not have one of the rules.
    """
    found = {
        rule_id: rule for rule_id, rule in named.items() if rule is not None and rule.group_id == group.id
    }
    if len(found) < len(named):
        raise SECURITY_GROUP_RULES.id.missing(set(named) - set(found))
    return found


def _check_peers(call: Call, group: SecurityGroup, asked: Iterable[RequestedRule]) -> None:
    """
    Raises:
        ServiceError: a rule is about a group that is not of this VPC.
    """
    for peer in {one.rule.peer for one in asked if is_group(one.rule.peer)}:
        other = call.tx.security_groups.get(peer)
        if other is None or other.vpc_id != group.vpc_id:
            raise ServiceError(
                "InvalidGroup.NotFound",
                f"The security group '{peer}' does not exist in VPC '{group.vpc_id}'",
            )


def _changed(rule: SecurityGroupRule, asked: RequestedRule) -> SecurityGroupRule:
    says = asked.rule
    return replace(
        rule,
        protocol=says.protocol,
        from_port=says.from_port,
        to_port=says.to_port,
        peer=says.peer,
        description=asked.description or "",
    )


def _put(
    call: Call,
    group: SecurityGroup,
    rows: Iterable[SecurityGroupRule],
    changed: Iterable[SecurityGroupRule],
) -> None:
    """Puts rules that say something else, and their group with the lists that these make."""
    contents = {row.id: row.rule for row in rows}
    before = call.tx.security_group_rules.find(group_id=group.id)
    anew = {(row.egress, row.rule): contents[row.id] for row in before}
    call.tx.security_group_rules.put_all(changed)
    call.tx.security_groups.put(
        replace(
            group,
            ingress=tuple(anew.get((False, rule), rule) for rule in group.ingress),
            egress=tuple(anew.get((True, rule), rule) for rule in group.egress),
        )
    )


def _duplicate(rule: Rule) -> ServiceError:
    ports = f", {rule.protocol.upper()}, from port: {rule.from_port}, to port: {rule.to_port}"
    return ServiceError(
        "InvalidPermission.Duplicate",
        f'the specified rule "peer: {rule.peer}{ports}, ALLOW" already exists',
    )
