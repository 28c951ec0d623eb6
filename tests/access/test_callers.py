"""A caller is resolved again only when something has changed that decides who it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from tests.access.people import ARNS, NOW, document, put_inline, put_managed, put_user
from tests.store.pasts import with_another_past

from hatchway.access.callers import Callers
from hatchway.access.principal import Caller
from hatchway.domain.identity import (
    AccessKey,
    Attachment,
    Guardrail,
    KeyStatus,
    Membership,
    OwnerKind,
    Role,
    SealedSecret,
)
from hatchway.domain.network import Vpc
from hatchway.domain.session import Session, SessionKind
from hatchway.store import Store, Transaction

ALLOW = document({"Effect": "Allow", "Action": "*", "Resource": "*"})


@pytest.fixture
def people(store: Store) -> Store:
    with store.write() as tx:
        for name in ("alice", "bob"):
            put_user(tx, name)
            tx.access_keys.put(
                AccessKey(id=f"AKIA{name}", user_name=name, status=KeyStatus.ACTIVE, created_at=NOW)
            )
        put_inline(tx, OwnerKind.USER, "alice", "own", ALLOW)
        put_inline(tx, OwnerKind.GROUP, "eng", "of eng", ALLOW)
        tx.memberships.put(Membership(user_name="alice", group_name="eng"))
    return store


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            sent.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(store.engine, "before_cursor_execute", note)


def resolve(store: Store, callers: Callers, name: str = "alice") -> Caller | None:
    with store.read() as tx:
        return callers.resolve(tx, ARNS, f"AKIA{name}")


def policies(caller: Caller | None) -> list[str]:
    assert caller is not None
    return [policy.name for policy in caller.policies.identity]


def test_while_the_account_is_the_same_a_caller_costs_one_statement(people: Store) -> None:
    callers = Callers()
    first = resolve(people, callers)
    with statements(people) as sent:
        assert resolve(people, callers) is first
    assert len(sent) == 1


def test_a_change_of_anything_else_costs_one_more(people: Store) -> None:
    callers = Callers()
    first = resolve(people, callers)
    with people.write() as tx:
        tx.vpcs.put(Vpc(id="vpc-1", name="office", cidrs=()))
    with statements(people) as sent:
        assert resolve(people, callers) is first
    assert len(sent) == 2
    with statements(people) as sent:
        assert resolve(people, callers) is first
    assert len(sent) == 1


def join_a_group(tx: Transaction) -> None:
    tx.memberships.put(Membership(user_name="alice", group_name="ops"))
    put_inline(tx, OwnerKind.GROUP, "ops", "of ops", ALLOW)


def test_other_people_s_keys_and_groups_are_changes_of_anything_else(people: Store) -> None:
    callers = Callers()
    first = resolve(people, callers)
    with people.write() as tx:
        put_user(tx, "alice2", tags={"team": "web"})
        tx.users.delete("alice2")
        tx.memberships.put(Membership(user_name="bob", group_name="alice"))
        tx.memberships.delete("bob", "alice")
        tx.access_keys.delete("AKIAbob")
    assert resolve(people, callers) is first


CHANGES: dict[str, Callable[[Transaction], object]] = {
    "a policy of its own": lambda tx: put_inline(tx, OwnerKind.USER, "alice", "more", ALLOW),
    "a policy less": lambda tx: tx.inline_policies.delete_where(owner_name="alice"),
    "a group": join_a_group,
    "a group less": lambda tx: tx.memberships.delete("alice", "eng"),
    "a managed policy": lambda tx: tx.attachments.put(
        Attachment(
            owner_kind=OwnerKind.USER, owner_name="alice", policy_arn=put_managed(tx, "managed", ALLOW)
        )
    ),
    "a guardrail": lambda tx: tx.guardrails.put(Guardrail(policy_arn=put_managed(tx, "bounds", ALLOW))),
    "tags": lambda tx: put_user(tx, "alice", tags={"team": "web"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_decides_is_seen_at_once(people: Store, change: str) -> None:
    callers = Callers()
    before = resolve(people, callers)
    with people.write() as tx:
        CHANGES[change](tx)
    after = resolve(people, callers)
    assert after is not None and after != before
    assert after == resolve(people, Callers())


@pytest.mark.parametrize("end", ["inactive", "deleted", "user gone"])
def test_a_key_that_is_good_no_more_is_nobodys_at_once(people: Store, end: str) -> None:
    callers = Callers()
    assert resolve(people, callers) is not None
    with people.write() as tx:
        if end == "inactive":
            inactive = KeyStatus.INACTIVE
            tx.access_keys.put(AccessKey(id="AKIAalice", user_name="alice", status=inactive, created_at=NOW))
        elif end == "deleted":
            tx.access_keys.delete("AKIAalice")
        else:
            tx.users.delete("alice")
    assert resolve(people, callers) is None
    assert resolve(people, callers) is None


def test_of_a_store_that_was_restored_nothing_is_known(people: Store) -> None:
    callers = Callers()
    before = resolve(people, callers)
    assert before is not None
    with with_another_past(people) as connection:
        connection.execute(text("DELETE FROM inline_policies WHERE owner_name = 'alice'"))
    assert policies(resolve(people, callers)) == ["of eng"]
    with statements(people) as sent:
        assert policies(resolve(people, callers)) == ["of eng"]
    assert len(sent) == 1


def test_a_view_from_before_a_change_is_answered_as_of_then(people: Store) -> None:
    callers = Callers()
    with people.read() as before:
        assert before.revision() > 0
        with people.write() as tx:
            put_inline(tx, OwnerKind.USER, "alice", "later", ALLOW)
        assert policies(resolve(people, callers)) == ["later", "own", "of eng"]
        assert policies(callers.resolve(before, ARNS, "AKIAalice")) == ["own", "of eng"]
    with statements(people) as sent:
        assert policies(resolve(people, callers)) == ["later", "own", "of eng"]
    assert len(sent) == 1, "what is newer stays known"


ROLE = Role(
    name="on-call",
    id="AROAONCALL",
    path="/",
    created_at=NOW,
    description="",
    trust_policy="{}",
    tags={"a": "b"},
)
SESSION = Session(
    access_key_id="ASIA1",
    kind=SessionKind.ROLE,
    owner_name=ROLE.name,
    owner_id=ROLE.id,
    name="alice",
    token_hash=b"",
    issued_at=NOW,
    expires_at=NOW + timedelta(hours=1),
)


def test_a_session_s_caller_is_resolved_again_when_its_role_or_itself_changes_and_for_no_other(
    people: Store,
) -> None:
    callers = Callers()

    def resolved() -> Caller | None:
        with people.read() as tx:
            return callers.resolve(tx, ARNS, "ASIA1")

    with people.write() as tx:
        tx.roles.put(ROLE)
        tx.sessions.put(SESSION)
    first = resolved()
    assert first is not None and first.principal.tags == {"a": "b"}
    with people.read() as tx:
        assert callers.look_up_anew(tx, "ASIA1").session == SESSION
    first = resolved()
    with people.write() as tx:
        tx.roles.put(replace(ROLE, name="other"))
        tx.sessions.put(replace(SESSION, access_key_id="ASIA2"))
    assert resolved() is first
    with people.write() as tx:
        tx.roles.put(replace(ROLE, tags={"a": "c"}))
    second = resolved()
    assert second is not None and second.principal.tags == {"a": "c"}
    with people.write() as tx:
        tx.sessions.delete("ASIA1")
    assert resolved() is None


def test_who_has_not_called_for_longest_is_forgotten_first(people: Store) -> None:
    callers = Callers(most=1)
    alice = resolve(people, callers)
    bob = resolve(people, callers, "bob")
    assert resolve(people, callers, "bob") is bob
    again = resolve(people, callers)
    assert again == alice and again is not alice


def test_what_a_key_is_verified_with_costs_no_statement_more_once_it_is_known(people: Store) -> None:
    with people.write() as tx:
        tx.sealed_secrets.put(SealedSecret(access_key_id="AKIAalice", ciphertext=b"sealed"))
    callers = Callers()
    resolve(people, callers)
    with statements(people) as sent, people.read() as tx:
        known = callers.look_up(tx, "AKIAalice")
    assert (known.sealed, known.session) == (b"sealed", None)
    assert known.caller is not None
    assert len(sent) == 1


def looked_up(store: Store, callers: Callers, key_id: str) -> int:
    """How many statements it takes."""
    with statements(store) as sent, store.read() as tx:
        callers.look_up(tx, key_id)
    return len(sent)


def test_of_a_key_that_is_none_as_much_is_remembered_as_of_one_that_is(people: Store) -> None:
    callers = Callers()
    key_ids = ["AKIAbob", "AKIANOBODY"]
    assert [looked_up(people, callers, key_id) for key_id in key_ids] == [3, 3]
    assert [looked_up(people, callers, key_id) for key_id in key_ids] == [1, 1]
    with people.write() as tx:
        tx.vpcs.put(Vpc(id="vpc-1", name="office", cidrs=()))
    assert [looked_up(people, callers, key_id) for key_id in key_ids] == [2, 2]


def test_a_key_that_was_none_is_known_as_soon_as_it_is_made(people: Store) -> None:
    callers = Callers()
    with people.read() as tx:
        assert callers.look_up(tx, "AKIAnew").sealed is None
    with people.write() as tx:
        tx.sealed_secrets.put(SealedSecret(access_key_id="AKIAnew", ciphertext=b"sealed"))
        tx.access_keys.put(AccessKey(id="AKIAnew", user_name="bob", status=KeyStatus.ACTIVE, created_at=NOW))
    with people.read() as tx:
        assert callers.look_up(tx, "AKIAnew").sealed == b"sealed"


def test_what_is_of_no_use_any_more_is_looked_up_anew_and_remembered(people: Store) -> None:
    callers = Callers()
    sealed = []
    for ciphertext in (b"sealed", b"sealed anew"):
        with people.write() as tx:
            tx.sealed_secrets.put(SealedSecret(access_key_id="AKIAalice", ciphertext=ciphertext))
        with people.read() as tx:
            sealed.append(callers.look_up(tx, "AKIAalice").sealed)
    with people.read() as tx:
        sealed += [callers.look_up_anew(tx, "AKIAalice").sealed, callers.look_up(tx, "AKIAalice").sealed]
    # How a secret is sealed is no change of the account.
    assert sealed == [b"sealed", b"sealed", b"sealed anew", b"sealed anew"]


def test_no_number_of_claims_makes_a_caller_forgotten(people: Store) -> None:
    callers = Callers(most=1, most_claimed=2)
    alice = resolve(people, callers)
    for number in range(10):
        looked_up(people, callers, f"AKIA{number}")
    assert resolve(people, callers) is alice
    assert [looked_up(people, callers, f"AKIA{number}") for number in (8, 9, 7)] == [1, 1, 3]


def test_a_key_is_remembered_as_a_caller_s_or_as_claimed_and_never_as_both(people: Store) -> None:
    callers = Callers(most=1)
    resolve(people, callers)
    with people.write() as tx:
        put_user(tx, "alice", tags={"team": "web"})
    assert [looked_up(people, callers, "AKIAalice") for _ in range(2)] == [4, 1]
    for name in ("alice", "bob"):
        resolve(people, callers, name)
    assert looked_up(people, callers, "AKIAalice") == 3


def test_what_is_known_of_a_key_that_is_none_stays_known_while_other_keys_change(people: Store) -> None:
    callers = Callers()
    looked_up(people, callers, "AKIANOBODY")
    with people.write() as tx:
        tx.access_keys.delete("AKIAbob")
    assert looked_up(people, callers, "AKIANOBODY") == 2


def test_an_id_that_no_key_can_have_is_not_remembered(people: Store) -> None:
    callers = Callers()
    assert [looked_up(people, callers, "A" * 129) for _ in range(2)] == [3, 3]
    assert [looked_up(people, callers, "A" * 128) for _ in range(2)] == [3, 1]


def test_when_the_store_cannot_be_asked_nobody_is_a_caller(people: Store) -> None:
    callers = Callers()
    assert resolve(people, callers) is not None
    with people.write() as tx:
        tx._connection.execute(text("ALTER TABLE tombstones RENAME TO gone"))
    with pytest.raises(DBAPIError):
        resolve(people, callers)
