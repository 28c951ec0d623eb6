"""Gateways get signing keys for three days, sealed, and of those alone whose policies may allow a tunnel."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from structlog.testing import capture_logs
from tests.store.migrated import empty_store
from tests.store.pasts import with_another_past

from hatchway.access import sessions, signing_keys, touched_keys
from hatchway.access.identities import StoredIdentities, resolve_caller
from hatchway.access.open_tunnel import ACTION
from hatchway.access.sessions import new_temporary_key
from hatchway.access.signing_keys import (
    SigningKeyOpener,
    SigningKeys,
    gateway_dates,
    may_open_tunnels,
    seal_signing_key,
    session_signing_keys,
)
from hatchway.domain.arns import Arns
from hatchway.domain.identity import (
    AccessKey,
    Attachment,
    Group,
    Guardrail,
    InlinePolicy,
    KeyStatus,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    Role,
    SealedSigningKey,
    User,
)
from hatchway.domain.network import Vpc
from hatchway.domain.session import Session, SessionKind
from hatchway.iam import Effect, Policy, PolicySet, parse_policy
from hatchway.keys.access_keys import NewAccessKey, create_access_key, delete_access_key, secret_of
from hatchway.keys.vault import Vault
from hatchway.sigv4.keys import Scope, derive_signing_key
from hatchway.store import Store, Transaction

NOW = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
REGION = "us-east-1"
MASTER, GATEWAY = Vault(bytes(range(32))), Vault(bytes(range(1, 33)))
POLICY = "arn:aws:iam::123456789012:policy/tunnels"
OPEN = {"Effect": "Allow", "Action": ACTION, "Resource": "*"}


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass
class World:
    store: Store
    now: datetime = NOW
    keys: SigningKeys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = self.control_plane(GATEWAY)

    def control_plane(self, gateway: Vault) -> SigningKeys:
        return SigningKeys(self.store, MASTER, gateway, clock=lambda: self.now, region=REGION)

    def user(self, name: str, *statements: Mapping[str, Any]) -> NewAccessKey:
        with self.store.write() as tx:
            tx.users.put(User(name=name, id=f"AIDA{name}", path="/", created_at=NOW))
            allow(tx, OwnerKind.USER, name, *statements)
            return create_access_key(tx, MASTER, user_name=name, now=NOW, random_bytes=os.urandom)

    def change(self, work: Callable[[Transaction], object]) -> None:
        with self.store.write() as tx:
            work(tx)

    @property
    def known(self) -> set[str]:
        """The ids of the keys that gateways can verify."""
        with self.store.read() as tx:
            return {row.access_key_id for row in tx.sealed_signing_keys.find()}


def allow(tx: Transaction, kind: OwnerKind, name: str, *statements: Mapping[str, Any]) -> None:
    if statements:
        tx.inline_policies.put(
            InlinePolicy(
                owner_kind=kind, owner_name=name, policy_name="given", document=document(*statements)
            )
        )


def managed(tx: Transaction, *statements: Mapping[str, Any], arn: str = POLICY, version: str = "v1") -> None:
    tx.managed_policies.put(
        ManagedPolicy(
            arn=arn, name=arn.rpartition("/")[2], id=f"ANPA{arn[-4:]}", path="/", description="",
            created_at=NOW, updated_at=NOW, default_version=version,
        )
    )  # fmt: skip
    tx.policy_versions.put(
        PolicyVersion(policy_arn=arn, version_id=version, document=document(*statements), created_at=NOW)
    )


def attach(tx: Transaction, kind: OwnerKind, name: str, arn: str = POLICY) -> None:
    tx.attachments.put(Attachment(owner_kind=kind, owner_name=name, policy_arn=arn))


@contextmanager
def new_world(directory: Path) -> Iterator[World]:
    store = empty_store(directory / "hatchway.db")
    try:
        yield World(store)
    finally:
        store.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with new_world(tmp_path) as world:
        yield world


def test_a_row_opens_to_the_key_that_the_secret_makes(world: World) -> None:
    made = world.user("alice", OPEN)
    world.keys.refresh()
    with world.store.read() as tx:
        rows = tx.sealed_signing_keys.find()
    assert [row.date for row in rows] == ["20261123", "20261124", "20261125"]
    for row in rows:
        expected = derive_signing_key(made.secret, row.date, REGION, "ec2-instance-connect")
        assert SigningKeyOpener(GATEWAY).open(row) == expected
        assert expected not in row.sealed
        assert SigningKeyOpener(MASTER).open(row) is None


def test_a_row_opens_in_no_other_place(world: World) -> None:
    world.user("alice", OPEN)
    world.keys.refresh()
    with world.store.read() as tx:
        row = tx.sealed_signing_keys.find()[0]
    opener = SigningKeyOpener(GATEWAY)
    assert opener.open(row) is not None
    for elsewhere in (
        replace(row, access_key_id="AKIAROOT"),
        replace(row, date="20261124"),
        replace(row, region="eu-west-1"),
        replace(row, service="ec2"),
    ):
        assert opener.open(elsewhere) is None


def test_the_root_user_has_none_whatever_its_policies(world: World) -> None:
    with world.store.write() as tx:
        create_access_key(tx, MASTER, user_name=None, now=NOW, random_bytes=os.urandom)
        managed(tx, OPEN)
        tx.guardrails.put(Guardrail(policy_arn=POLICY))
    assert world.keys.refresh() == 0
    assert world.known == set()


@pytest.mark.parametrize(
    ("statement", "may"),
    [
        (OPEN, True),
        ({**OPEN, "Action": "*"}, True),
        ({**OPEN, "Action": "ec2-instance-connect:*"}, True),
        ({**OPEN, "Action": "EC2-instance-connect:opentunne?"}, True),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        ({**OPEN, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}, True),
        ({**OPEN, "Resource": "arn:aws:ec2:*:*:instance-connect-endpoint/eice-1"}, True),
        ({**OPEN, "Action": "ec2-instance-connect:SendSSHPublicKey"}, False),
        ({**OPEN, "Action": ["ec2:*", "iam:*"]}, False),
        ({**OPEN, "Effect": "Deny"}, False),
        ({"Effect": "Allow", "NotAction": "ec2-instance-connect:Open*", "Resource": "*"}, False),
        ({"Effect": "Deny", "NotAction": "ec2:*", "Resource": "*"}, False),
    ],
)
def test_it_takes_an_allow_for_opening_tunnels(world: World, statement: Mapping[str, Any], may: bool) -> None:
    key = world.user("alice", statement).key
    world.keys.refresh()
    assert world.known == ({key.id} if may else set())


GRANTS: dict[str, list[Callable[[Transaction], object]]] = {
    "an inline policy": [lambda tx: allow(tx, OwnerKind.USER, "alice", OPEN)],
    "a managed policy": [lambda tx: managed(tx, OPEN), lambda tx: attach(tx, OwnerKind.USER, "alice")],
    "a group's inline policy": [
        lambda tx: tx.groups.put(Group(name="ops", id="AGPAOPS", path="/", created_at=NOW)),
        lambda tx: tx.memberships.put(Membership(user_name="alice", group_name="ops")),
        lambda tx: allow(tx, OwnerKind.GROUP, "ops", OPEN),
    ],
    "a group's managed policy, joined last": [
        lambda tx: managed(tx, OPEN),
        lambda tx: attach(tx, OwnerKind.GROUP, "ops"),
        lambda tx: tx.memberships.put(Membership(user_name="alice", group_name="ops")),
    ],
    "another version of a policy": [
        lambda tx: managed(tx, {**OPEN, "Action": "ec2:*"}),
        lambda tx: attach(tx, OwnerKind.USER, "alice"),
        lambda tx: managed(tx, OPEN, version="v2"),
    ],
}


@pytest.mark.parametrize("grant", GRANTS)
def test_a_change_that_first_grants_tunnels_is_seen_and_so_is_its_end(world: World, grant: str) -> None:
    key = world.user("alice").key
    world.keys.refresh()
    for step in GRANTS[grant]:
        assert world.known == set()
        world.change(step)
        world.keys.refresh()
    assert world.known == {key.id}
    world.change(lambda tx: tx.users.delete("alice"))
    world.keys.refresh()
    assert world.known == set()


def test_a_boundary_and_guardrails_must_allow_it_too(world: World) -> None:
    key = world.user("alice", OPEN).key
    user = User(name="alice", id="AIDAalice", path="/", created_at=NOW, permissions_boundary=POLICY)
    expected = [
        (lambda tx: tx.users.put(user), set()),
        (lambda tx: managed(tx, {**OPEN, "Action": "ec2:*"}), set()),
        (lambda tx: managed(tx, OPEN, version="v2"), {key.id}),
        (lambda tx: tx.guardrails.put(Guardrail(policy_arn=f"{POLICY}-2")), set()),
        (lambda tx: managed(tx, OPEN, arn=f"{POLICY}-2"), {key.id}),
        (lambda tx: tx.guardrails.delete(f"{POLICY}-2"), {key.id}),
    ]
    for change, known in expected:
        world.change(change)
        world.keys.refresh()
        assert world.known == known


def test_an_inactive_key_has_none_until_it_is_active_again(world: World) -> None:
    key = world.user("alice", OPEN).key
    for status, known in ((KeyStatus.INACTIVE, set()), (KeyStatus.ACTIVE, {key.id})):
        changed = AccessKey(id=key.id, user_name="alice", status=status, created_at=NOW)
        world.change(lambda tx, changed=changed: tx.access_keys.put(changed))  # type: ignore[misc]
        world.keys.refresh()
        assert world.known == known


@pytest.mark.parametrize("everybody", [False, True])
def test_whoever_is_allowed_tunnels_again_while_he_loses_them_keeps_what_he_has(
    world: World, monkeypatch: pytest.MonkeyPatch, everybody: bool
) -> None:
    keys = [world.user(name, OPEN).key for name in ("alice", "bob")]
    world.change(lambda tx: managed(tx, OPEN))
    world.keys.refresh()
    off = [replace(key, status=KeyStatus.INACTIVE) for key in keys]
    world.change(lambda tx: tx.access_keys.put(*off))
    portions = signing_keys._portions

    def meanwhile(rows: list[Any]) -> Iterator[list[Any]]:
        if rows:
            world.change(lambda tx: tx.access_keys.put(keys[0]))
            if everybody:
                world.change(lambda tx: tx.guardrails.put(Guardrail(policy_arn=POLICY)))
        return portions(rows)

    monkeypatch.setattr(signing_keys, "_portions", meanwhile)
    world.keys.refresh()
    assert world.known == ({key.id for key in keys} if everybody else {keys[0].id})
    monkeypatch.setattr(signing_keys, "_portions", portions)
    world.keys.refresh()
    assert world.known == {keys[0].id}


def test_they_roll_with_the_days(world: World) -> None:
    world.user("alice", OPEN)
    before = world.keys.good_until
    assert (before, world.keys.refresh(), world.keys.refresh()) == (None, 3, 0)
    good_until = world.keys.good_until
    assert good_until is not None and good_until > world.now
    world.now += timedelta(days=1)
    assert world.keys.refresh() == 2
    assert world.keys.good_until == good_until + timedelta(days=1)
    with world.store.read() as tx:
        assert [row.date for row in tx.sealed_signing_keys.find()] == list(gateway_dates(world.now))
    world.now += timedelta(days=40)
    assert world.keys.refresh() == 6
    revision = world.store.revision()
    assert world.keys.refresh() == 0
    assert world.store.revision() == revision


def test_in_a_store_that_was_restored_all_are_looked_at(world: World) -> None:
    world.user("alice", OPEN)
    assert (world.keys.refresh(), world.keys.refresh()) == (3, 0)
    with with_another_past(world.store) as connection:
        connection.execute(text("DELETE FROM sealed_signing_keys"))
    assert (world.keys.refresh(), world.keys.refresh()) == (3, 0)


def test_what_concerns_no_identity_costs_a_glance(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.user("alice", OPEN)
    world.keys.refresh()
    monkeypatch.setattr(SigningKeys, "_tunnel_owners", lambda *_: pytest.fail("looked at all policies"))
    world.keys.refresh()
    world.change(lambda tx: tx.sealed_signing_keys.delete("AKIANOBODY", "20261124", REGION, "x"))
    world.change(lambda tx: tx.sealed_signing_keys.delete_where(date="20261124"))
    world.keys.refresh()


def test_a_change_of_anything_else_is_looked_at_no_further(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user("alice", OPEN)
    world.keys.refresh()
    world.keys.refresh()
    monkeypatch.setattr(SigningKeys, "_tunnel_owners", lambda *_: pytest.fail("looked at all policies"))
    world.change(lambda tx: tx.vpcs.put(Vpc(id="vpc-1", name="office", cidrs=("10.0.0.0/16",))))
    assert world.keys.refresh() == 0
    monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("looked at the same change again"))
    assert world.keys.refresh() == 0


def test_where_nothing_has_changed_nothing_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.user("alice", OPEN)
    assert world.keys.refresh() == 3
    assert world.keys.refresh() == 0
    monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("read the store"))
    assert world.keys.refresh() == 0


def test_keys_that_an_earlier_version_left_unsealed_are_dropped(world: World) -> None:
    with world.store.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO signing_keys VALUES ('AKIA1', '20261124', 'r', 's', :key, 1)"),
            {"key": bytes(32)},
        )
    world.keys.refresh()
    with world.store.read() as tx:
        assert not tx.has_clear_signing_keys()


def test_a_key_without_a_secret_has_none(world: World) -> None:
    key = world.user("alice", OPEN).key
    world.change(lambda tx: tx.sealed_secrets.delete(key.id))
    assert world.keys.refresh() == 0
    assert (world.known, world.keys.unopened) == (set(), frozenset())


def test_a_policy_that_cannot_be_read_allows_no_tunnel_and_is_told(world: World) -> None:
    world.user("alice")
    unreadable = InlinePolicy(
        owner_kind=OwnerKind.USER, owner_name="alice", policy_name="given", document="{"
    )
    world.change(lambda tx: tx.inline_policies.put(unreadable))
    with capture_logs() as logs:
        world.keys.refresh()
    assert world.known == set()
    (entry,) = logs
    assert "is not JSON" in entry.pop("problem")
    assert entry == {
        "event": "a stored policy cannot be read: "
        "it denies everything to those it is for, until it is put anew",
        "log_level": "warning",
        "policy": "given of the user alice",
    }


def test_a_policy_without_its_version_in_force_allows_no_tunnel(world: World) -> None:
    world.user("alice")
    world.change(lambda tx: managed(tx, OPEN))
    world.change(lambda tx: attach(tx, OwnerKind.USER, "alice"))
    world.change(lambda tx: tx.policy_versions.delete(POLICY, "v1"))
    with capture_logs() as logs:
        assert world.keys.refresh() == 0
    assert [entry["policy"] for entry in logs] == [POLICY]


def test_those_of_others_stay_when_one_loses_his(world: World) -> None:
    alice, bob = (world.user(name, OPEN).key.id for name in ("alice", "bob"))
    assert world.keys.refresh() == 6
    world.change(lambda tx: tx.inline_policies.delete_where(owner_name="alice"))
    assert world.keys.refresh() == 3
    assert (dates_of(world, alice), dates_of(world, bob)) == ([], list(gateway_dates(NOW)))


def test_a_document_is_read_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.user("alice", OPEN)
    world.keys.refresh()
    read: list[str] = []

    def noted(text: str) -> Policy:
        read.append(text)
        return parse_policy(text)

    monkeypatch.setattr(signing_keys, "parse_policy", noted)
    world.user("bob", {**OPEN, "Action": "*"})
    # A guardrail is everybody's.
    world.change(lambda tx: tx.guardrails.delete(POLICY))
    world.change(lambda tx: managed(tx, {**OPEN, "Action": "ec2-instance-connect:*"}))
    world.change(lambda tx: tx.guardrails.put(Guardrail(policy_arn=POLICY)))
    assert world.keys.refresh() == 3
    assert [json.loads(text)["Statement"][0]["Action"] for text in read] == ["ec2-instance-connect:*", "*"]


def test_another_gateway_key_seals_all_again_once(world: World) -> None:
    world.user("alice", OPEN)
    world.keys.refresh()
    assert world.control_plane(GATEWAY).refresh() == 0
    other = Vault(bytes(32))
    elsewhere = world.control_plane(other)
    assert elsewhere.refresh() == 3
    # Two control planes with two keys do not go on doing so to each other.
    world.user("bob")
    assert (world.keys.refresh(), elsewhere.refresh()) == (0, 0)
    with world.store.read() as tx:
        assert {row.sealed_under for row in tx.sealed_signing_keys.find()} == {other.key_id}


def test_many_keys_are_written_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_keys, "_ROWS_AT_ONCE", 2)
    keys = {world.user(f"user-{number}", OPEN).key.id for number in range(3)}
    before = world.store.revision()
    assert world.keys.refresh() == 9
    assert world.store.revision() == before + 5
    assert world.known == keys
    world.change(lambda tx: tx.inline_policies.delete_where())
    assert world.keys.refresh() == 9
    assert world.known == set()


def test_a_secret_of_another_master_key_is_told_and_keeps_nobody_else_from_a_key(world: World) -> None:
    strange = frozenset(world.user(name, OPEN).key.id for name in ("alice", "carol"))
    other = Vault(bytes(range(2, 34)))
    with world.store.write() as tx:
        tx.users.put(User(name="bob", id="AIDAbob", path="/", created_at=NOW))
        allow(tx, OwnerKind.USER, "bob", OPEN)
        good = create_access_key(tx, other, user_name="bob", now=NOW, random_bytes=os.urandom).key.id
    keys = SigningKeys(world.store, other, GATEWAY, clock=lambda: world.now, region=REGION)
    assert keys.unopened == frozenset()
    assert keys.refresh() == 3
    assert (world.known, keys.unopened) == ({good}, strange)
    assert keys.refresh() == 0
    world.change(lambda tx: allow(tx, OwnerKind.USER, "bob", OPEN, OPEN))
    assert keys.refresh() == 0
    assert keys.unopened == strange
    world.now += timedelta(days=1)
    keys.refresh()
    assert (world.known, keys.unopened) == ({good}, strange)
    world.change(lambda tx: [delete_access_key(tx, key_id) for key_id in strange])
    keys.refresh()
    assert (world.known, keys.unopened) == ({good}, frozenset())


def test_a_row_that_is_not_there_costs_what_one_costs_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    opener = SigningKeyOpener(GATEWAY)
    row = seal_signing_key(GATEWAY, "AKIA1", Scope("20261124", REGION, "ec2-instance-connect"), bytes(32))
    unsealed: list[int] = []
    unseal = Vault.unseal

    def counted(vault: Vault, sealed: bytes, context: str) -> bytes:
        unsealed.append(len(sealed))
        return unseal(vault, sealed, context)

    monkeypatch.setattr(Vault, "unseal", counted)
    assert opener.open(row) == bytes(32)
    assert opener.open(None) is None
    assert len(unsealed) == 2
    assert unsealed[0] == unsealed[1]


ACTIONS = st.sampled_from(
    [ACTION, "*", "ec2:*", "ec2-instance-connect:*", "ec2-instance-connect:SendSSHPublicKey"]
)
STATEMENTS = st.builds(
    lambda effect, element, action: {"Effect": effect, element: action, "Resource": "*"},
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["Action", "NotAction"]),
    ACTIONS,
)


LAYERS = st.fixed_dictionaries(
    {
        "inline": st.lists(STATEMENTS, max_size=2),
        "group": st.lists(STATEMENTS, max_size=2),
        **{
            name: st.none() | st.lists(STATEMENTS, min_size=1, max_size=2)
            for name in ("attached", "boundary", "guardrail")
        },
    }
)


@given(layers=LAYERS)
def test_who_has_none_could_not_open_a_tunnel_by_the_engine_either(
    tmp_path_factory: pytest.TempPathFactory, layers: dict[str, list[Mapping[str, Any]]]
) -> None:
    with new_world(tmp_path_factory.mktemp("account")) as world:
        store = world.store
        key = world.user("alice", *layers["inline"]).key
        with store.write() as tx:
            tx.memberships.put(Membership(user_name="alice", group_name="ops"))
            allow(tx, OwnerKind.GROUP, "ops", *layers["group"])
            for name in ("attached", "boundary", "guardrail"):
                if layers[name]:
                    managed(tx, *layers[name], arn=f"{POLICY}/{name}")
            if layers["attached"]:
                attach(tx, OwnerKind.USER, "alice", f"{POLICY}/attached")
            if layers["boundary"]:
                bound = f"{POLICY}/boundary"
                tx.users.put(
                    User(name="alice", id="AIDA1", path="/", created_at=NOW, permissions_boundary=bound)
                )
            if layers["guardrail"]:
                tx.guardrails.put(Guardrail(policy_arn=f"{POLICY}/guardrail"))
        world.keys.refresh()
        with store.read() as tx:
            caller = resolve_caller(StoredIdentities(tx, Arns("123456789012", REGION)), key.id)
        assert caller is not None
        allowing = {
            candidate.layer
            for candidate in caller.policies.index.view(ACTION).candidates
            if candidate.statement.effect is Effect.ALLOW
        }
        assert (world.known == {key.id}) == (allowing >= set(caller.policies.required))


# --- temporary credentials --------------------------------------------------------------------------------


def put_role(tx: Transaction, *statements: Mapping[str, Any], boundary: str | None = None) -> None:
    tx.roles.put(
        Role(
            name="on-call", id="AROAONCALL", path="/", created_at=NOW, description="", trust_policy="{}",
            permissions_boundary=boundary,
        )
    )  # fmt: skip
    allow(tx, OwnerKind.ROLE, "on-call", *statements)


def put_session(world: World, **changes: Any) -> str:
    key = new_temporary_key(os.urandom)
    fields: dict[str, Any] = {
        "access_key_id": key.access_key_id, "kind": SessionKind.ROLE, "owner_name": "on-call",
        "owner_id": "AROAONCALL", "name": "alice", "token_hash": key.token_hash,
        "issued_at": NOW, "expires_at": NOW + timedelta(hours=1),
    }  # fmt: skip
    with world.store.write() as tx:
        session = Session(**{**fields, **changes})
        sessions.put_session(tx, MASTER, session, key.secret)
        caller = resolve_caller(StoredIdentities(tx, Arns("123456789012", REGION)), key.access_key_id)
        assert caller is not None
        tx.sealed_signing_keys.put_all(
            session_signing_keys(GATEWAY, session, key.secret, caller.policies, now=NOW, region=REGION)
        )
    return key.access_key_id


def dates_of(world: World, key_id: str) -> list[str]:
    with world.store.read() as tx:
        return [row.date for row in tx.sealed_signing_keys.find(access_key_id=key_id)]


def test_a_session_has_its_signing_keys_at_once_for_the_days_of_its_life(world: World) -> None:
    world.change(lambda tx: put_role(tx, OPEN))
    # It is a minute before midnight, and clocks differ.
    long = put_session(world)
    assert dates_of(world, long) == ["20261124", "20261125"]
    with world.store.read() as tx:
        secret = secret_of(tx, MASTER, long) or ""
        for row in tx.sealed_signing_keys.find(access_key_id=long):
            expected = derive_signing_key(secret, row.date, REGION, "ec2-instance-connect")
            assert (row.region, row.service) == (REGION, "ec2-instance-connect")
            assert SigningKeyOpener(GATEWAY).open(row) == expected
    earlier = NOW - timedelta(hours=2)
    short = put_session(world, issued_at=earlier, expires_at=NOW - timedelta(minutes=10))
    assert dates_of(world, short) == ["20261124"]
    till_midnight = put_session(world, issued_at=earlier, expires_at=NOW)
    assert dates_of(world, till_midnight) == ["20261124", "20261125"]


def test_what_comes_and_goes_with_sessions_is_not_looked_at_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.change(lambda tx: put_role(tx, OPEN))
    world.keys.refresh()
    monkeypatch.setattr(SigningKeys, "_tunnel_owners", lambda *_: pytest.fail("looked at all policies"))
    put_session(world)
    assert world.keys.refresh() == 0


@pytest.mark.parametrize(
    ("statements", "boundary", "more", "known"),
    [
        ([OPEN], None, {}, True),
        ([], None, {}, False),
        ([OPEN], POLICY, {}, False),
        ([OPEN], None, {"policy": document(OPEN)}, True),
        ([OPEN], None, {"policy": document({**OPEN, "Action": "ec2:*"})}, False),
        ([OPEN], None, {"policy_arns": (POLICY,)}, False),
        ([OPEN], None, {"policy_arns": (POLICY, f"{POLICY}-open")}, True),
        ([OPEN], None, {"policy": document(OPEN), "policy_arns": (POLICY,)}, True),
        ([OPEN], None, {"kind": SessionKind.ROOT, "owner_name": None}, False),
        ([OPEN], None, {"kind": SessionKind.USER, "owner_name": "alice", "owner_id": "AIDAalice"}, True),
        ([OPEN], None, {"kind": SessionKind.USER, "owner_name": "bob", "owner_id": "AIDAbob"}, False),
    ],
)
def test_a_session_that_can_open_no_tunnel_has_none_whether_at_once_or_later(
    world: World, statements: list[Any], boundary: str | None, more: dict[str, Any], known: bool
) -> None:
    world.user("alice", OPEN)
    world.user("bob")
    world.change(lambda tx: put_role(tx, *statements, boundary=boundary))
    world.change(lambda tx: managed(tx, {**OPEN, "Action": "ec2:*"}))
    world.change(lambda tx: managed(tx, OPEN, arn=f"{POLICY}-open"))
    key_id = put_session(world, **more)
    assert (key_id in world.known) is known
    world.change(lambda tx: tx.sealed_signing_keys.delete_where(access_key_id=key_id))
    world.control_plane(GATEWAY).refresh()
    assert (key_id in world.known) is known


def test_a_session_gets_and_loses_them_with_its_role_s_policies_and_when_it_expires(world: World) -> None:
    world.change(put_role)
    key_id = put_session(world)
    world.keys.refresh()
    assert key_id not in world.known
    world.change(lambda tx: allow(tx, OwnerKind.ROLE, "on-call", OPEN))
    world.keys.refresh()
    assert dates_of(world, key_id) == ["20261124", "20261125"]
    world.change(managed)
    world.now = NOW + timedelta(hours=1)
    world.keys.refresh()
    assert key_id not in world.known


def test_a_session_that_expires_within_the_day_loses_them_with_the_next_change(world: World) -> None:
    world.change(lambda tx: put_role(tx, OPEN))
    put_session(world, expires_at=NOW + timedelta(seconds=10))
    lasting = put_session(world)
    world.keys.refresh()
    world.now += timedelta(seconds=20)
    world.change(managed)
    world.keys.refresh()
    assert world.known == {lasting}


def test_one_change_may_give_them_to_several_users_and_sessions(world: World) -> None:
    keys = {world.user(name).key.id for name in ("alice", "bob")}
    world.change(put_role)
    keys |= {put_session(world) for _ in range(2)}
    assert world.keys.refresh() == 0
    with world.store.write() as tx:
        for kind, name in ((OwnerKind.USER, "alice"), (OwnerKind.USER, "bob"), (OwnerKind.ROLE, "on-call")):
            allow(tx, kind, name, OPEN)
    assert world.keys.refresh() == 2 * 3 + 2 * 2
    assert world.known == keys


def test_the_rule_for_one_is_that_for_all(world: World) -> None:
    root = PolicySet((parse_policy(document(OPEN)),), is_root=True)
    assert not may_open_tunnels(root)
    assert may_open_tunnels(PolicySet((parse_policy(document(OPEN)),)))
    assert not may_open_tunnels(PolicySet((parse_policy(document({**OPEN, "Effect": "Deny"})),)))


def _bounded_by(arn: str | None) -> User:
    return User(name="alice", id="AIDAalice", path="/", created_at=NOW, permissions_boundary=arn)


def test_a_change_has_those_alone_looked_at_whom_it_touches_and_leaves_what_a_look_at_all_would(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = (world.user(name).key.id for name in ("alice", "bob"))
    world.change(lambda tx: put_role(tx, OPEN))
    narrow, other = {**OPEN, "Action": "ec2:*"}, f"{POLICY}-2"
    for_session = put_session(world, policy_arns=(other,))
    plain = put_session(world)
    world.keys.refresh()
    owners = SigningKeys._tunnel_owners
    steps: list[tuple[Callable[[Transaction], object], set[str]]] = [
        (lambda tx: allow(tx, OwnerKind.USER, "alice", OPEN), {alice, plain}),
        (lambda tx: managed(tx, narrow), {alice, plain}),
        (lambda tx: tx.users.put(_bounded_by(POLICY)), {plain}),
        (lambda tx: managed(tx, OPEN, version="v2"), {alice, plain}),
        (lambda tx: tx.users.put(_bounded_by(None)), {alice, plain}),
        (lambda tx: managed(tx, OPEN, arn=other), {alice, plain, for_session}),
        (
            lambda tx: tx.memberships.put(Membership(user_name="bob", group_name="ops")),
            {alice, plain, for_session},
        ),
        (lambda tx: attach(tx, OwnerKind.GROUP, "ops"), {alice, bob, plain, for_session}),
        (lambda tx: tx.attachments.delete(OwnerKind.GROUP, "ops", POLICY), {alice, plain, for_session}),
        (lambda tx: allow(tx, OwnerKind.GROUP, "ops", OPEN), {alice, bob, plain, for_session}),
        (lambda tx: managed(tx, narrow, version="v3"), {alice, bob, plain, for_session}),
        (lambda tx: tx.memberships.delete("bob", "ops"), {alice, plain, for_session}),
        (lambda tx: tx.managed_policies.delete(other), {alice, plain}),
        (lambda tx: put_role(tx, boundary=POLICY), {alice}),
        (lambda tx: tx.policy_versions.delete(POLICY, "v3"), {alice}),
        (lambda tx: managed(tx, OPEN, version="v4"), {alice, plain}),
        (lambda tx: tx.roles.delete("on-call"), {alice}),
        (lambda tx: delete_access_key(tx, alice), set()),
    ]
    for change, known in steps:
        world.change(change)
        monkeypatch.setattr(SigningKeys, "_tunnel_owners", lambda *_: pytest.fail("looked at all"))
        world.keys.refresh()
        monkeypatch.setattr(SigningKeys, "_tunnel_owners", owners)
        assert world.known == known
        world.control_plane(GATEWAY).refresh()
        assert world.known == known


def looks_at_all(monkeypatch: pytest.MonkeyPatch) -> list[Transaction]:
    looked: list[Transaction] = []

    def noted(_keys: SigningKeys, tx: Transaction, _live: object) -> set[object]:
        looked.append(tx)
        return set()

    monkeypatch.setattr(SigningKeys, "_tunnel_owners", noted)
    return looked


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: tx.guardrails.put(Guardrail(policy_arn=f"{POLICY}-2")),
        lambda tx: managed(tx, {**OPEN, "Action": "ec2:*"}),
        lambda tx: tx.guardrails.delete(POLICY),
        lambda tx: tx.forget_deletions(10**6),
    ],
)
def test_a_change_that_may_be_everybody_s_has_all_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[Transaction], object]
) -> None:
    world.user("alice", OPEN)
    world.change(lambda tx: managed(tx, OPEN))
    world.change(lambda tx: tx.guardrails.put(Guardrail(policy_arn=POLICY)))
    world.keys.refresh()
    looked = looks_at_all(monkeypatch)
    world.change(change)
    world.user("carol")
    world.keys.refresh()
    assert looked


def test_a_change_of_many_has_all_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touched_keys, "_MOST", 3)
    world.user("alice")
    world.change(lambda tx: managed(tx, OPEN))
    world.change(lambda tx: attach(tx, OwnerKind.GROUP, "ops"))
    for number in range(4):
        world.user(f"user-{number}")
        name = f"user-{number}"
        world.change(lambda tx, name=name: tx.memberships.put(Membership(user_name=name, group_name="ops")))  # type: ignore[misc]
    world.keys.refresh()
    looked = looks_at_all(monkeypatch)
    world.change(lambda tx: attach(tx, OwnerKind.USER, "alice"))
    world.keys.refresh()
    assert not looked
    # One policy, and all the members of a group.
    world.change(lambda tx: managed(tx, OPEN, version="v2"))
    world.keys.refresh()
    assert looked
    looked.clear()
    world.change(
        lambda tx: tx.users.put_all(
            User(name=f"new-{n}", id=f"N{n}", path="/", created_at=NOW) for n in range(4)
        )
    )
    world.keys.refresh()
    assert looked


def test_another_gateway_key_seals_all_anew_and_gateways_open_them_before_and_after(world: World) -> None:
    former, new = bytes(range(32)), bytes(range(1, 33))
    taken: list[tuple[bytes, ...] | None] = [None]
    vault = Vault(former, changed=lambda: taken[0])
    opener = SigningKeyOpener(vault)
    made = world.user("alice", OPEN)
    keys = world.control_plane(vault)
    keys.refresh()

    def rows() -> list[SealedSigningKey]:
        with world.store.read() as tx:
            return tx.sealed_signing_keys.find(access_key_id=made.key.id)

    assert {row.sealed_under for row in rows()} == {Vault(former).key_id}
    taken[0] = (new, former)
    assert all(opener.open(row) is not None for row in rows())
    assert keys.refresh() == len(rows()) > 0
    assert {row.sealed_under for row in rows()} == {Vault(new).key_id}
    assert all(opener.open(row) is not None for row in rows())
    assert opener.open(None) is None
    assert keys.refresh() == 0
