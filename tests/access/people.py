"""Users, groups and roles of a test's account, with their policies."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.domain.arns import Arns
from hatchway.domain.identity import InlinePolicy, ManagedPolicy, OwnerKind, PolicyVersion, User
from hatchway.iam import Policy, PolicySet, parse_policy
from hatchway.store import Transaction

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
ARNS = Arns(ACCOUNT, "us-east-1")


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def policy(*statements: Mapping[str, Any], name: str = "given") -> Policy:
    return parse_policy(document(*statements), name=name)


def caller(*statements: Mapping[str, Any], **others: Any) -> Caller:
    """A user with a policy of these statements, and whatever else a `PolicySet` has."""
    alice = Principal(
        arn=ARNS.user("alice"),
        account=ACCOUNT,
        type=PrincipalType.USER,
        user_id="AIDAALICE",
        user_name="alice",
        access_key_id="AKIAALICE",
    )
    return Caller(alice, PolicySet(identity=(policy(*statements),) if statements else (), **others))


def put_user(tx: Transaction, name: str, **fields: Any) -> User:
    user = User(name=name, id=f"AIDA{name.upper()}", path="/eng/", created_at=NOW, **fields)
    tx.users.put(user)
    return user


def put_inline(tx: Transaction, kind: OwnerKind, owner: str, name: str, text: str) -> None:
    tx.inline_policies.put(InlinePolicy(owner_kind=kind, owner_name=owner, policy_name=name, document=text))


def put_managed(tx: Transaction, name: str, text: str) -> str:
    """The ARN of a managed policy with this document in force."""
    arn = ARNS.managed_policy(name)
    tx.managed_policies.put(
        ManagedPolicy(
            arn=arn,
            name=name,
            id=f"ANPA{name.upper()}",
            path="/",
            description="",
            created_at=NOW,
            updated_at=NOW,
            default_version="v2",
        )
    )
    for version, content in (("v1", document()), ("v2", text)):
        tx.policy_versions.put(
            PolicyVersion(policy_arn=arn, version_id=version, document=content, created_at=NOW)
        )
    return arn
