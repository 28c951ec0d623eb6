"""What policies allow at all, of users, groups, roles and managed policies."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hatchway.access.granted_actions import granted_actions
from hatchway.access.identities import StoredIdentities
from hatchway.domain.arns import Arns
from hatchway.domain.identity import Attachment, InlinePolicy, ManagedPolicy, OwnerKind, PolicyVersion, User
from hatchway.store import Store

ARNS = Arns("123456789012", "us-east-1")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
POLICY = ARNS.managed_policy("reader")
ACTIONS = ["ec2:CreateVpc", "ec2:DescribeVpcs", "iam:ListUsers"]


def document(effect: str, action: str) -> str:
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    statement = {"Effect": effect, "Action": action, "Resource": "*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


@pytest.fixture
def identities(store: Store) -> Iterator[StoredIdentities]:
    with store.write() as tx:
        tx.users.put(User(name="alice", id="AIDA1", path="/", created_at=NOW))
        for name, effect, action in (("a", "Allow", "IAM:List*"), ("d", "Deny", "ec2:CreateVpc")):
            tx.inline_policies.put(
                InlinePolicy(
                    owner_kind=OwnerKind.USER,
                    owner_name="alice",
                    policy_name=name,
                    document=document(effect, action),
                )
            )
        tx.managed_policies.put(
            ManagedPolicy(
                arn=POLICY,
                name="reader",
                id="ANPA1",
                path="/",
                description="",
                created_at=NOW,
                updated_at=NOW,
                default_version="v1",
            )
        )
        tx.policy_versions.put(
            PolicyVersion(
                policy_arn=POLICY,
                version_id="v1",
                document=document("Allow", "ec2:Describe*"),
                created_at=NOW,
            )
        )
        tx.attachments.put(Attachment(owner_kind=OwnerKind.USER, owner_name="alice", policy_arn=POLICY))
    with store.read() as tx:
        yield StoredIdentities(tx, ARNS)


def test_what_some_statement_allows_is_granted_whatever_its_conditions_are(
    identities: StoredIdentities,
) -> None:
    assert granted_actions(identities, ARNS.user("alice"), ACTIONS) == ACTIONS[1:]
    assert granted_actions(identities, POLICY, ACTIONS) == ["ec2:DescribeVpcs"]


def test_what_is_not_there_is_granted_nothing(identities: StoredIdentities) -> None:
    assert granted_actions(identities, ARNS.user("bob"), ACTIONS) == []
    with pytest.raises(ValueError, match="is not the ARN of"):
        granted_actions(identities, ARNS.managed_policy("none"), ACTIONS)
