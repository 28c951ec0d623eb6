"""When keys were last used, as the audit trail tells."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.store.migrated import write_migrated_database
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.audit import key_uses
from hatchway.audit.events import EventSource, Outcome, event, unknown_identity
from hatchway.audit.key_uses import KeyUses, last_uses
from hatchway.audit.log import to_record
from hatchway.domain.account import Account
from hatchway.domain.identity import AccessKey, AccessKeyUse, KeyStatus
from hatchway.store import Store
from hatchway.store.tables import access_key_uses

NOW = datetime(2026, 11, 24, 6, 17, 23, 123456, tzinfo=UTC)
ALICE: Mapping[str, Any] = {"type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAALICE"}
BOB: Mapping[str, Any] = {"type": "IAMUser", "userName": "bob", "accessKeyId": "AKIABOB"}
ROOT: Mapping[str, Any] = {"type": "Root", "accountId": "123456789012", "accessKeyId": "AKIAROOT"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    write_migrated_database(tmp_path / "hatchway.db")
    with closing(Store.open(f"sqlite:///{tmp_path}/hatchway.db?timeout=0.2")) as opened:
        furnish(opened)
        yield opened


def furnish(store: Store) -> None:
    """An account with three keys, of which nothing is known."""
    long_ago = NOW - timedelta(days=1000)
    with store.write() as tx:
        tx.accounts.put(
            Account(id="123456789012", region="eu-west-1", gateway_dns_name="localhost", created_at=long_ago)
        )
        for identity in (ALICE, BOB, ROOT):
            tx.access_keys.put(
                AccessKey(
                    id=identity["accessKeyId"],
                    user_name=identity.get("userName"),
                    status=KeyStatus.ACTIVE,
                    created_at=long_ago,
                )
            )


_count = iter(range(1_000_000))


def enter(
    store: Store,
    identity: Mapping[str, Any],
    ago: timedelta,
    service: str = "ec2.amazonaws.com",
    *,
    name: str = "DescribeVpcs",
    parameters: Mapping[str, Any] | None = None,
    error: str | None = None,
) -> None:
    """An event of the past."""
    source = EventSource(
        account="123456789012", region="eu-west-1", event_source=service, request_id="r", source_ip="",
        user_agent='"userIdentity":{"type":"Root"', user_identity=identity,
    )  # fmt: skip
    body = event(
        source, event_id=f"e{next(_count)}", time=NOW - ago, name=name, read_only=True,
        request_parameters=parameters, outcome=Outcome(error_code=error),
    )  # fmt: skip
    with store.record() as tx:
        tx.audit_records.add(to_record(body, NOW - ago))


def noted(store: Store) -> dict[str, AccessKeyUse]:
    with store.read() as tx:
        return {use.access_key_id: use for use in tx.access_key_uses.find()}


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def check_uses(store: Store) -> None:
    """The newest of what is signed counts, refused or not; what is only claimed does not."""
    enter(store, ALICE, seconds(9))
    enter(store, ALICE, seconds(3), "ec2-instance-connect.amazonaws.com", error="AccessDenied")
    enter(store, ALICE, seconds(5), "iam.amazonaws.com")
    enter(store, ROOT, seconds(4), "sts.amazonaws.com")
    enter(store, unknown_identity("AKIAALICE"), seconds(1), error="InvalidClientTokenId")
    enter(store, unknown_identity("AKIABOB"), seconds(1), parameters=ROOT, error="InvalidClientTokenId")
    enter(store, ALICE, seconds(1), "hatchway.internal", name="RefusedCalls")
    enter(store, ALICE, seconds(1), "ec2-instance-connect.amazonaws.com", name="CloseTunnel")
    with store.read() as tx:
        now = last_uses(tx, NOW)
    assert KeyUses(store, lambda: NOW).note() == 2
    assert noted(store) == now
    assert noted(store) == {
        "AKIAALICE": AccessKeyUse(
            access_key_id="AKIAALICE", used_at=NOW - seconds(3), service="ec2-instance-connect",
            region="eu-west-1",
        ),
        "AKIAROOT": AccessKeyUse(
            access_key_id="AKIAROOT", used_at=NOW - seconds(4), service="sts", region="eu-west-1"
        ),
    }  # fmt: skip


def test_the_newest_request_that_was_signed_with_a_key_is_its_last_use(store: Store) -> None:
    check_uses(store)


def test_so_it_is_in_postgresql() -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server, closing(Store.open(server.new_database())) as store:
        store.migrate()
        furnish(store)
        check_uses(store)


def test_what_comes_late_counts_and_what_is_older_changes_nothing(store: Store) -> None:
    now = NOW
    uses = KeyUses(store, lambda: now)
    enter(store, ALICE, seconds(9))
    assert uses.note() == 1
    # Its call began before, and waited for a lock.
    enter(store, BOB, seconds(30))
    enter(store, ALICE, seconds(20))
    now = NOW + seconds(30)
    assert uses.note() == 1
    assert noted(store)["AKIABOB"].used_at == NOW - seconds(30)
    assert noted(store)["AKIAALICE"].used_at == NOW - seconds(9)
    assert uses.note() == 0


def test_what_came_before_anything_was_noted_is_known_at_once(store: Store) -> None:
    # As in a backup of an account that is a minute old.
    enter(store, ALICE, timedelta(days=9))
    with store.read() as tx:
        assert last_uses(tx, NOW)["AKIAALICE"].used_at == NOW - timedelta(days=9)


def test_a_control_plane_that_was_down_finds_what_came_meanwhile(store: Store) -> None:
    enter(store, ALICE, timedelta(days=9))
    KeyUses(store, lambda: NOW - timedelta(days=9)).note()
    enter(store, ALICE, timedelta(days=8))
    with store.read() as tx:
        assert last_uses(tx, NOW)["AKIAALICE"].used_at == NOW - timedelta(days=8)
    KeyUses(store, lambda: NOW).note()
    assert noted(store)["AKIAALICE"].used_at == NOW - timedelta(days=8)


def test_uses_of_before_there_were_notes_are_found_bit_by_bit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_uses, "_ROWS_AT_ONCE", 3)
    enter(store, BOB, timedelta(days=400))
    enter(store, ROOT, timedelta(days=300))
    for _ in range(6):
        # More of one moment than are looked at in one go.
        enter(store, ALICE, timedelta(days=200))
    uses = KeyUses(store, lambda: NOW)
    found = []
    for _ in range(8):
        uses.note()
        found.append(len(noted(store)))
    assert found[0] < found[-1] == 3
    assert found == sorted(found)
    assert noted(store)["AKIABOB"].used_at == NOW - timedelta(days=400)


def test_a_key_that_is_gone_gets_no_note(store: Store) -> None:
    enter(store, ALICE, seconds(9))
    with store.write() as tx:
        tx.access_keys.delete("AKIAALICE")
    KeyUses(store, lambda: NOW).note()
    assert noted(store) == {}


def test_nobody_who_writes_is_held_up_when_there_is_nothing_new(store: Store, tmp_path: Path) -> None:
    enter(store, ALICE, seconds(9))
    uses = KeyUses(store, lambda: NOW)
    uses.note()
    with closing(sqlite3.connect(tmp_path / "hatchway.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert uses.note() == 0
        writer.execute("ROLLBACK")


def test_a_clock_that_was_ahead_hides_no_use_that_comes_when_it_is_right_again(store: Store) -> None:
    now = NOW + timedelta(days=500)
    uses = KeyUses(store, lambda: now)
    # The use of one key was entered by that clock, too.
    enter(store, ALICE, timedelta(days=-500))
    assert uses.note() == 1
    now = NOW
    enter(store, BOB, seconds(0))
    with store.read() as tx:
        assert last_uses(tx, NOW)["AKIABOB"].used_at == NOW
    for each in (uses, KeyUses(store, lambda: now)):
        with store.record() as tx:
            tx.access_key_uses.delete("AKIABOB")
        each.note()
        assert noted(store)["AKIABOB"].used_at == NOW


def test_what_there_is_no_room_to_note_is_passed_over(store: Store) -> None:
    most = access_key_uses.c.service.type.length  # type: ignore[attr-defined]
    assert most == key_uses.LONGEST_SERVICE
    enter(store, ALICE, seconds(1), "x" * (most + 1))
    enter(store, ALICE, seconds(2))
    enter(store, BOB, seconds(3))
    assert KeyUses(store, lambda: NOW).note() == 2
    assert noted(store)["AKIAALICE"].used_at == NOW - seconds(2)
