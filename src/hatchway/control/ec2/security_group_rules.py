"""The rules of security groups, each by itself, as EC2 describes them."""

from typing import Final

from hatchway.control.ec2.listing import Listing, describe
from hatchway.control.ec2.resource_ids import SECURITY_GROUP_RULE
from hatchway.control.ec2.rule_requests import rule_results
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import SecurityGroupRule
from hatchway.store import tables

RULES: Final[Listing[SecurityGroupRule]] = Listing(
    action="DescribeSecurityGroupRules",
    ids="SecurityGroupRuleIds",
    kind=SECURITY_GROUP_RULE,
    rows=lambda tx: tx.security_group_rules,
    id_column=tables.security_group_rules.c.id,
    fields=lambda _call: {
        "group-id": tables.security_group_rules.c.group_id,
        "security-group-rule-id": tables.security_group_rules.c.id,
    },
)


@operation("ec2", "DescribeSecurityGroupRules", reads_only=True)
def describe_security_group_rules(call: Call) -> Result:
    page = describe(call, RULES)
    return {"SecurityGroupRules": rule_results(call, page.nouns), "NextToken": page.next_token}
