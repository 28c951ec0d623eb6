"""Users, groups and roles as simulations take them: their policies, where each is from, and their keys."""

from typing import Any

import pytest
from tests.access.people import ACCOUNT, ARNS, NOW, document, put_inline, put_managed, put_user

from hatchway.access.entities import Entity, caller_keys, find_entity, read_entity_arn
from hatchway.access.identities import StoredIdentities
from hatchway.domain.identity import Attachment, Group, Guardrail, Membership, OwnerKind, Role
from hatchway.store import Store, Transaction

ALLOW = document({"Effect": "Allow", "Action": "*", "Resource": "*"})
USER, GROUP, ROLE = ARNS.user("alice", "/eng/"), ARNS.group("ops", "/on/"), ARNS.role("deploy", "/ci/")


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        (USER, OwnerKind.USER, "alice"),
        ("arn:aws:iam::123456789012:user/eng/a:b/alice", OwnerKind.USER, "alice"),
        (GROUP, OwnerKind.GROUP, "ops"),
        (ROLE, OwnerKind.ROLE, "deploy"),
    ],
)
def test_an_arn_names_a_kind_an_account_and_a_name_without_its_path(
    arn: str, kind: OwnerKind, name: str
) -> None:
    assert read_entity_arn(arn) == (kind, ACCOUNT, name)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "alice",
        "arn:aws:iam::123456789012",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:policy/p",
        "arn:aws:iam::123456789012:user/",
        "arn:aws:iam::123456789012:user/eng/",
        "arn:aws:iam:us-east-1:123456789012:user/alice",
        "arn:aws:ec2::123456789012:user/alice",
        "urn:aws:iam::123456789012:user/alice",
    ],
)
def test_any_other_text_names_none(arn: str) -> None:
    with pytest.raises(ValueError, match="is not the ARN of a user, group or role"):
        read_entity_arn(arn)


def test_an_arn_alone_tells_of_a_caller_who_he_is_and_of_a_user_his_name() -> None:
    principal = {"aws:PrincipalArn": USER, "aws:PrincipalAccount": ACCOUNT, "aws:PrincipalType": "User"}
    assert caller_keys(USER) == {**principal, "aws:username": "alice"}
    assert caller_keys(ROLE) == {
        **principal,
        "aws:PrincipalArn": ROLE,
        "aws:PrincipalType": "AssumedRole",
    }


def test_a_group_calls_nobody() -> None:
    with pytest.raises(ValueError, match="is not the ARN of a user or role"):
        caller_keys(GROUP)


def found(tx: Transaction, kind: OwnerKind, name: str) -> Entity | None:
    return find_entity(StoredIdentities(tx, ARNS), kind, name)


@pytest.mark.parametrize("kind", list(OwnerKind))
def test_of_a_name_that_nobody_has_there_is_none(store: Store, kind: OwnerKind) -> None:
    with store.read() as tx:
        assert found(tx, kind, "alice") is None


def furnish(store: Store, **tags: str) -> dict[str, Any]:
    """The same policies for a user, a group and a role."""
    with store.write() as tx:
        boundary = put_managed(tx, "boundary", ALLOW)
        attached = put_managed(tx, "attached", ALLOW)
        tx.guardrails.put(Guardrail(policy_arn=put_managed(tx, "guardrail", ALLOW)))
        put_user(tx, "alice", permissions_boundary=boundary, tags=tags)
        tx.groups.put(Group(name="ops", id="AGPAOPS", path="/on/", created_at=NOW))
        tx.roles.put(
            Role(
                name="deploy",
                id="AROADEPLOY",
                path="/ci/",
                created_at=NOW,
                description="",
                trust_policy="{}",
                permissions_boundary=boundary,
                tags=tags,
            )
        )
        tx.memberships.put(Membership(user_name="alice", group_name="ops"))
        for kind, name in ((OwnerKind.USER, "alice"), (OwnerKind.GROUP, "ops"), (OwnerKind.ROLE, "deploy")):
            put_inline(tx, kind, name, "own", ALLOW)
            tx.attachments.put(Attachment(owner_kind=kind, owner_name=name, policy_arn=attached))
    return tags


def sources(entity: Entity) -> list[tuple[str, str]]:
    return [(source.id, source.type) for source in entity.identity]


def test_a_user_has_its_own_policies_and_its_groups_each_with_where_it_is_from(store: Store) -> None:
    furnish(store, team="web")
    with store.read() as tx:
        alice = found(tx, OwnerKind.USER, "alice")

    assert alice is not None
    assert (alice.kind, alice.name, alice.arn, alice.id) == (OwnerKind.USER, "alice", USER, "AIDAALICE")
    assert (alice.account, alice.tags) == (ACCOUNT, {"team": "web"})
    assert {source.policy.document for source in alice.identity} == {ALLOW}
    assert sources(alice) == [
        ("user_alice_own", "user"),
        ("attached", "user-managed"),
        ("group_ops_own", "group"),
        ("attached", "user-managed"),
    ]
    assert alice.boundary is not None and alice.boundary.id == "boundary"
    assert [guardrail.id for guardrail in alice.guardrails] == ["guardrail"]
    assert alice.keys == {
        "aws:PrincipalArn": USER,
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalType": "User",
        "aws:userid": "AIDAALICE",
        "aws:username": "alice",
        "aws:PrincipalTag/team": "web",
    }


def test_a_group_has_its_policies_no_boundary_and_only_the_account_for_a_key(store: Store) -> None:
    furnish(store)
    with store.read() as tx:
        ops = found(tx, OwnerKind.GROUP, "ops")

    assert ops is not None
    assert (ops.kind, ops.name, ops.arn, ops.id) == (OwnerKind.GROUP, "ops", GROUP, "AGPAOPS")
    assert (ops.account, ops.tags, ops.boundary) == (ACCOUNT, {}, None)
    assert [(guardrail.id, guardrail.type) for guardrail in ops.guardrails] == [("guardrail", "user-managed")]
    assert sources(ops) == [("group_ops_own", "group"), ("attached", "user-managed")]
    assert ops.keys == {"aws:PrincipalAccount": ACCOUNT}


def test_a_role_has_its_policies_and_the_keys_of_whoever_assumes_it(store: Store) -> None:
    furnish(store, team="web")
    with store.read() as tx:
        deploy = found(tx, OwnerKind.ROLE, "deploy")

    assert deploy is not None
    assert (deploy.kind, deploy.name, deploy.arn, deploy.id) == (OwnerKind.ROLE, "deploy", ROLE, "AROADEPLOY")
    assert (deploy.account, deploy.tags) == (ACCOUNT, {"team": "web"})
    assert [guardrail.id for guardrail in deploy.guardrails] == ["guardrail"]
    assert sources(deploy) == [("role_deploy_own", "role"), ("attached", "user-managed")]
    assert deploy.boundary is not None and deploy.boundary.id == "boundary"
    assert deploy.keys == {
        "aws:PrincipalArn": ROLE,
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalType": "AssumedRole",
        "aws:PrincipalTag/team": "web",
    }


def test_a_policy_that_is_attached_but_gone_stands_there_as_one_that_denies(store: Store) -> None:
    gone = ARNS.managed_policy("gone")
    with store.write() as tx:
        put_user(tx, "alice")
        tx.attachments.put(Attachment(owner_kind=OwnerKind.USER, owner_name="alice", policy_arn=gone))
        alice = found(tx, OwnerKind.USER, "alice")

    assert alice is not None
    assert alice.boundary is None
    assert sources(alice) == [(f"{gone} (is not there)", "user-managed")]
