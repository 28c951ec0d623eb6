"""A snapshot that follows the changes is at every revision what a fresh one would be."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.gateway.account import (
    ENDPOINT,
    GATEWAY_KEY,
    INTERFACE_ADDRESS,
    REGION,
    THEN,
    VPC,
    StoredAccount,
    allow,
    endpoint,
    instance,
    put_policy,
    security_group,
    stored_account,
)

from hatchway.domain.identity import (
    Attachment,
    Guardrail,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
)
from hatchway.gateway.snapshot.snapshot import PORTION, Snapshot
from hatchway.store import BEGINNING, Transaction


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        yield made


def change(tx: Transaction, chance: random.Random) -> None:
    number = chance.randrange(6)
    user, address = f"user-{number}", f"10.0.1.{chance.randrange(1, 5)}"
    arn = f"arn:aws:iam::123456789012:policy/{number}"
    version = PolicyVersion(policy_arn=arn, version_id="v1", document="{}", created_at=THEN)
    policy = ManagedPolicy(
        arn=arn,
        name=str(number),
        id="A",
        path="/",
        description="",
        created_at=THEN,
        updated_at=THEN,
        default_version="v1",
    )
    member = Membership(user_name=user, group_name=f"group-{chance.randrange(3)}")
    attached = Attachment(owner_kind=OwnerKind.USER, owner_name=user, policy_arn=arn)
    moves: list[Any] = [
        lambda: tx.instances.put(instance(address)),
        lambda: tx.instances.delete_where(private_ip=address),
        lambda: tx.memberships.put(member),
        lambda: tx.memberships.delete(member.user_name, member.group_name),
        lambda: put_policy(tx, user, allow()),
        lambda: tx.inline_policies.delete_where(owner_name=user),
        lambda: tx.attachments.put(attached),
        lambda: tx.attachments.delete_where(owner_name=user),
        lambda: tx.managed_policies.put(policy),
        lambda: tx.policy_versions.put(version),
        lambda: tx.managed_policies.delete(arn),
        lambda: tx.guardrails.put(Guardrail(policy_arn=arn)),
        lambda: tx.guardrails.delete(arn),
        lambda: tx.endpoints.put(endpoint(f"eice-{number}", tags={"n": str(chance.random())})),
        lambda: tx.endpoints.delete(f"eice-{number}"),
        lambda: tx.security_groups.put(security_group(f"sg-{number}")),
        lambda: tx.security_groups.delete(f"sg-{number}"),
    ]
    for move in chance.sample(moves, chance.randrange(1, 4)):
        move()


def picture(snapshot: Snapshot) -> list[Any]:
    users = [f"user-{number}" for number in range(6)]
    return [
        snapshot.revision,
        [snapshot.endpoint(f"eice-{number}") for number in range(6)],
        [snapshot.instance_at(VPC, f"10.0.1.{number}") for number in range(1, 5)],
        [sorted(snapshot.groups_of(user)) for user in users],
        [list(snapshot.inline_policies(OwnerKind.USER, user)) for user in users],
        [sorted(snapshot.attached_policies(OwnerKind.USER, user)) for user in users],
        [snapshot.managed_policy(f"arn:aws:iam::123456789012:policy/{number}") for number in range(6)],
        sorted(snapshot.guardrails()),
        [snapshot.security_groups([f"sg-{number}"]) for number in range(6)],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_following_changes_is_the_same_as_reading_everything(account: StoredAccount, seed: int) -> None:
    chance = random.Random(seed)
    following = Snapshot(GATEWAY_KEY)
    for _ in range(40):
        for _ in range(chance.randrange(1, 3)):
            with account.store.write() as tx:
                change(tx, chance)
        if chance.random() < 0.1:
            with account.store.write() as tx:
                tx.forget_deletions(tx.revision())
        following.apply(account.store.changes(following.position))
        fresh = Snapshot(GATEWAY_KEY)
        fresh.apply(account.store.changes())
        assert picture(following) == picture(fresh)


@pytest.mark.parametrize("everything", [False, True])
def test_thousands_of_changes_are_applied_in_portions_and_none_is_seen_before_the_last(
    account: StoredAccount, everything: bool
) -> None:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    with account.store.write() as tx:
        tx.instances.put_all(
            [instance(f"10.0.{number // 250 + 8}.{number % 250}") for number in range(10 * PORTION)]
        )
        put_policy(tx, "alice", {"Version": "2012-10-17", "Statement": []})
        tx.instances.delete_where(private_ip="10.0.1.1")
    changes = account.store.changes(BEGINNING if everything else snapshot.position)
    before, portions = picture(snapshot), 0
    for _ in snapshot.applying(changes):
        portions += 1
        assert picture(snapshot) == before
        assert snapshot.instance_at(VPC, "10.0.9.9") is None
    assert portions >= 10
    fresh = Snapshot(GATEWAY_KEY)
    fresh.apply(account.store.changes())
    assert picture(snapshot) == picture(fresh) != before
    assert snapshot.instance_at(VPC, "10.0.9.9") is not None


def test_an_instance_that_changes_its_address_leaves_the_old_one(account: StoredAccount) -> None:
    snapshot = Snapshot(GATEWAY_KEY)
    with account.store.write() as tx:
        tx.instances.put(instance("10.0.1.7"))
    snapshot.apply(account.store.changes())
    moved = instance("10.0.1.7")
    with account.store.write() as tx:
        tx.instances.put(type(moved)(**{**_fields(moved), "private_ip": "10.0.1.8"}))
    snapshot.apply(account.store.changes(snapshot.position))
    assert snapshot.instance_at(VPC, "10.0.1.7") is None
    found = snapshot.instance_at(VPC, "10.0.1.8")
    assert found is not None
    assert found.id == moved.id


def _fields(noun: Any) -> dict[str, Any]:
    return {name: getattr(noun, name) for name in noun.__dataclass_fields__}


def test_an_endpoint_connects_from_its_interfaces_addresses(account: StoredAccount) -> None:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    found = snapshot.endpoint(ENDPOINT)
    assert found is not None
    assert [str(address) for address in snapshot.interface_addresses(found)] == [
        INTERFACE_ADDRESS,
        "fd00::250",
    ]


def test_arns_are_those_of_the_account_as_it_is_now(account: StoredAccount) -> None:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    before = snapshot.arns
    with account.store.write() as tx:
        tx.accounts.put(replace(snapshot.account, region="eu-central-1"))
    snapshot.apply(account.store.changes(snapshot.position))
    assert before.region == REGION
    assert snapshot.arns == replace(before, region="eu-central-1")


def test_invented_access_keys_are_not_remembered(account: StoredAccount) -> None:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    for number in range(100):
        assert snapshot.caller(f"AKIA{number}") is None
    assert not snapshot._callers


def test_what_a_change_leaves_is_another_state(account: StoredAccount) -> None:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    states = [snapshot.state]
    for address in ("10.0.1.7", "10.0.1.8"):
        with account.store.write() as tx:
            tx.instances.put(instance(address))
        assert snapshot.state is states[-1]
        snapshot.apply(account.store.changes(snapshot.position))
        states.append(snapshot.state)
    assert len(set(map(id, states))) == 3
