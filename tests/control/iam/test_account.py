"""The account's summary and alias, as boto3 knows them."""

import json

from botocore.session import get_session
from tests.control.harness import World


def test_the_summary_counts_what_there_is_and_names_the_quotas_of_aws_s_list(world: World) -> None:
    world.user("bob")
    iam = world.client("iam")
    iam.create_group(GroupName="ops")
    iam.create_policy(PolicyName="reader", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
    ))  # fmt: skip
    summary = iam.get_account_summary()["SummaryMap"]
    assert {key: summary[key] for key in ("Users", "Groups", "Roles", "Policies", "PolicyVersionsInUse")} == {
        "Users": 1, "Groups": 1, "Roles": 0, "Policies": 1, "PolicyVersionsInUse": 1,
    }  # fmt: skip
    assert summary["AccountAccessKeysPresent"] == 1 and summary["UsersQuota"] == 10_000
    known = get_session().get_service_model("iam").shape_for("summaryKeyType").enum
    assert summary.keys() <= set(known)


def test_an_account_has_one_alias_which_another_replaces(world: World) -> None:
    iam = world.client("iam")
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias="office")
    iam.create_account_alias(AccountAlias="new-office")
    assert iam.list_account_aliases()["AccountAliases"] == ["new-office"]
    iam.delete_account_alias(AccountAlias="new-office")
    assert iam.list_account_aliases()["AccountAliases"] == []
