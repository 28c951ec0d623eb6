"""One transaction: a repository for each noun."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import (
    Connection,
    Table,
    bindparam,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.exc import OperationalError

from hatchway.domain.account import (
    Account,
    AccountAlias,
    ApiAddress,
    AuditRecord,
    ClientToken,
    CredentialReport,
)
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.enrollment_token import EnrollmentToken
from hatchway.domain.host_token import HostToken
from hatchway.domain.identity import (
    AccessKey,
    AccessKeyUse,
    Attachment,
    Group,
    Guardrail,
    InlinePolicy,
    LastAccessedJob,
    ManagedPolicy,
    Membership,
    PolicyVersion,
    Role,
    RoleDeletion,
    SealedSecret,
    SealedSigningKey,
    ServiceUse,
    ServiceUsesNoted,
    User,
)
from hatchway.domain.leader import Leader
from hatchway.domain.machine import JoinToken, KeyState, Machine
from hatchway.domain.network import (
    Instance,
    NetworkInterface,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)
from hatchway.domain.session import Session
from hatchway.domain.ssh_key import HostPublicKeys, PushedKey
from hatchway.domain.tunnel import GatewayWorker, Termination, Tunnel
from hatchway.store import tables
from hatchway.store.change_feed import feed_statements
from hatchway.store.change_feed.feed import Position, next_epoch
from hatchway.store.locks import MAKE_DURABLE, take_locks, worker_lock
from hatchway.store.pooler import is_behind_pooler
from hatchway.store.prepared import pipeline_of
from hatchway.store.problems import TookTooLong, TransactionEnded
from hatchway.store.rows import Rows
from hatchway.store.schema import require_whole
from hatchway.store.trail.audit_rows import AuditRows

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Noun = TypeVar("Noun", bound=DataclassInstance)
else:
    Noun = TypeVar("Noun")

_STEPS_BETWEEN_LOOKS = 10_000
"""Of SQLite's virtual machine: about a millisecond."""
_A_MOMENT = 0.25
"""Seconds. Nothing of ours has these tables longer to itself, but a migration."""
_QUERY_CANCELED = "57014"
"""What PostgreSQL calls a statement that was ended."""
_OPEN = (0, 2)
"""PQTRANS_IDLE, as nothing has been said yet, and PQTRANS_INTRANS (libpq: PQtransactionStatus)."""


class ReadOnly(Exception):
    """A row of the feed was changed outside `Store.write`: a mistake of the program."""


class _Repository(Generic[Noun]):
    """The repository of one table, made for each transaction that uses it."""

    def __init__(self, table: Table, noun: type[Noun], *, followed: bool = True) -> None:
        self._table = table
        self._noun = noun
        self._followed = followed

    def __get__(self, tx: "Transaction", _owner: object) -> Rows[Noun]:
        stamp = partial(tx._stamp, self._table.name) if self._followed else None
        rows = Rows(tx._connection, self._table, self._noun, stamp)
        # From now on the transaction's own attribute hides this one.
        tx.__dict__[self._table.name] = rows
        return rows


class _AuditRepository:
    """That of audit records."""

    def __get__(self, tx: "Transaction", _owner: object) -> AuditRows:
        rows = AuditRows(tx._connection, tables.audit_records, AuditRecord, None)
        tx.__dict__[tables.audit_records.name] = rows
        return rows


class Transaction:
    """Repositories over one connection. Made by `Store.read`, `Store.write` and `Store.record`."""

    accounts = _Repository(tables.accounts, Account)
    vpcs = _Repository(tables.vpcs, Vpc)
    subnets = _Repository(tables.subnets, Subnet)
    security_groups = _Repository(tables.security_groups, SecurityGroup)
    network_interfaces = _Repository(tables.network_interfaces, NetworkInterface)
    instances = _Repository(tables.instances, Instance)
    endpoints = _Repository(tables.endpoints, Endpoint)
    users = _Repository(tables.users, User)
    groups = _Repository(tables.groups, Group)
    roles = _Repository(tables.roles, Role)
    memberships = _Repository(tables.memberships, Membership)
    managed_policies = _Repository(tables.managed_policies, ManagedPolicy)
    policy_versions = _Repository(tables.policy_versions, PolicyVersion)
    inline_policies = _Repository(tables.inline_policies, InlinePolicy)
    attachments = _Repository(tables.attachments, Attachment)
    guardrails = _Repository(tables.guardrails, Guardrail)
    access_keys = _Repository(tables.access_keys, AccessKey)
    sessions = _Repository(tables.sessions, Session)
    sealed_signing_keys = _Repository(tables.sealed_signing_keys, SealedSigningKey)
    terminations = _Repository(tables.terminations, Termination)
    api_addresses = _Repository(tables.api_addresses, ApiAddress)

    security_group_rules = _Repository(tables.security_group_rules, SecurityGroupRule, followed=False)
    sealed_secrets = _Repository(tables.sealed_secrets, SealedSecret, followed=False)
    account_aliases = _Repository(tables.account_aliases, AccountAlias, followed=False)
    credential_reports = _Repository(tables.credential_reports, CredentialReport, followed=False)
    role_deletions = _Repository(tables.role_deletions, RoleDeletion, followed=False)
    access_key_uses = _Repository(tables.access_key_uses, AccessKeyUse, followed=False)
    service_uses = _Repository(tables.service_uses, ServiceUse, followed=False)
    service_uses_noted = _Repository(tables.service_uses_noted, ServiceUsesNoted, followed=False)
    last_accessed_jobs = _Repository(tables.last_accessed_jobs, LastAccessedJob, followed=False)
    pushed_keys = _Repository(tables.pushed_keys, PushedKey, followed=False)
    host_tokens = _Repository(tables.host_tokens, HostToken, followed=False)
    host_public_keys = _Repository(tables.host_public_keys, HostPublicKeys, followed=False)
    enrollment_tokens = _Repository(tables.enrollment_tokens, EnrollmentToken, followed=False)
    join_tokens = _Repository(tables.join_tokens, JoinToken, followed=False)
    machines = _Repository(tables.machines, Machine, followed=False)
    key_states = _Repository(tables.key_states, KeyState, followed=False)
    client_tokens = _Repository(tables.client_tokens, ClientToken, followed=False)
    audit_records = _AuditRepository()
    tunnels = _Repository(tables.tunnels, Tunnel, followed=False)
    gateway_workers = _Repository(tables.gateway_workers, GatewayWorker, followed=False)
    leaders = _Repository(tables.leaders, Leader, followed=False)

    def __init__(self, connection: Connection, *, feeds: bool) -> None:
        self._connection = connection
        self._feeds = feeds
        self.hands_over = False
        """Whether it has locked names, which others have before all of it is on the disk."""
        self._revision: int | None = None
        self.changed: set[str] = set()
        """The tables of the feed of which it has changed rows."""

    def account(self) -> Account:
        """The account that this store holds; there is exactly one once `hatchway init` has run."""
        (account,) = self.accounts.find()
        return account

    def revision(self) -> int:
        """The revision of this view."""
        return int(feed_statements.revision(self._connection.dialect).scalar(self._connection))

    def position(self) -> Position:
        """The revision of this view, and its mark."""
        ((revision, mark),) = feed_statements.position(self._connection.dialect).fetch(self._connection)
        return Position(int(revision), mark)

    def follows(self, seen: Position) -> bool:
        """Whether this view is what somebody gets to from what was seen, by all changes since.

        Not when too long ago, nor when it is not of this store's past: see `hatchway.store.change_feed.feed`.
        """
        return bool(feed_statements.follows(self._connection.dialect).scalar(self._connection, *seen))

    def floor(self) -> int:
        """Followers that stand before this revision must read everything again."""
        return int(self._connection.execute(select(tables.feed.c.floor)).scalar_one())

    def require_whole(self) -> None:
        """Refuses a store of which only a part is restored yet.

        Raises:
            BeingRestored: it is one.
        """
        require_whole(self._connection)

    def deleted_since(self, revision: int) -> list[tuple[str, str]]:
        """`(table, primary key as a JSON array of texts)` of the rows that went after a revision."""
        tombstone = tables.tombstones.c
        query = select(tombstone.kind, tombstone.row_key).where(
            tombstone.revision > revision, tombstone.kind != tables.MARK
        )
        return [(row.kind, row.row_key) for row in self._connection.execute(query)]

    def changed_since(self, revision: int) -> frozenset[str]:
        """The tables of the feed of which rows have come or changed after a revision, in one statement."""
        rows = feed_statements.changed(self._connection.dialect).fetch(self._connection, revision)
        return frozenset(name for (name,) in rows)

    def touched(
        self, since: Position, names: Collection[str], own: Mapping[str, str] = MappingProxyType({})
    ) -> bool:
        """Whether rows of these tables of the feed have come, changed or gone since, as far as is known.

        Of the tables in `own`, only rows whose primary key begins with the text that stands there.
        """
        others = frozenset(names).difference(own)
        query = feed_statements.touched(others, tuple(own), self._connection.dialect)
        # The second of each is as a tombstone has it.
        keys = [part for key in own.values() for part in (key, json.dumps([key])[:-1])]
        return bool(query.scalar(self._connection, *since, *keys))

    def has_clear_signing_keys(self) -> bool:
        """Whether there are unsealed signing keys, which no gateway of this version reads."""
        rows = self._connection.execute(select(tables.clear_signing_keys.c.access_key_id).limit(1))
        return rows.first() is not None

    def forget_clear_signing_keys(self) -> None:
        """Drops them without telling followers: a gateway that has them in memory may use them until it is
        replaced."""
        self._connection.execute(delete(tables.clear_signing_keys))

    def server_time(self) -> datetime | None:
        """The moment by the clock of the database's server; None of SQLite, which has none."""
        if self._connection.dialect.name != "postgresql":
            return None
        moment: datetime = self._connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
        return moment.astimezone(UTC)

    def session_has(self, note: str) -> bool:
        """Whether that was noted of this transaction's session. Behind a pooler, which may give each another,
        nothing is."""
        return note in self._connection.info and not is_behind_pooler(self._connection)

    def note_of_session(self, note: str) -> None:
        """Notes something of the session for as long as it lasts."""
        self._connection.info[note] = True

    def lock(self, *names: str) -> None:
        """Waits until no other transaction has locked any of these names; it has them until it is committed.

        All that a transaction locks it must lock in one call: who locks one after the other may wait for who
        waits for him.

        What it does in PostgreSQL is on the disk later, so that nobody waits for that with it: `Store.record`
        sees to it, on the same connection. Behind a pooler that may lead to a server which has crashed
        meanwhile and lost it, or has been put in its place, so there others wait. In SQLite whoever writes is
        alone.
        """
        if names and self._connection.dialect.name == "postgresql":
            self.hands_over = take_locks(self._connection, names)

    def lock_workers(self, *worker_ids: str) -> None:
        """Locks gateway workers: their leases, and the ends of their tunnels that others enter."""
        self.lock(*map(worker_lock, worker_ids))

    @contextmanager
    def time_limit(self, seconds: float, spend: Callable[[], None]) -> Iterator[None]:
        """Ends a statement within that takes too long.

        SQLite computes in this thread, and calls `spend` again and again, which waits, or ends the statement
        by raising. PostgreSQL computes elsewhere, and ends it after so many seconds.

        Raises:
            TookTooLong: PostgreSQL has ended one; the transaction is of no more use.
            Exception: what `spend` raises.
        """
        raised: list[Exception] = []

        def look() -> bool:
            try:
                spend()
            except Exception as problem:
                raised.append(problem)
            return bool(raised)

        sqlite = self._connection.dialect.name == "sqlite"
        driver: Any = self._connection.connection.driver_connection
        if sqlite:
            driver.set_progress_handler(look, _STEPS_BETWEEN_LOOKS)
        else:
            # Until the end of the transaction.
            self._connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{seconds * 1000:.0f}ms'")
        try:
            yield
        except OperationalError as problem:
            if raised:
                raise raised[0] from None
            if getattr(problem.orig, "sqlstate", None) != _QUERY_CANCELED:
                raise
            raise TookTooLong("the statement took too long") from problem
        finally:
            if sqlite:
                driver.set_progress_handler(None, 0)

    def wait_briefly(self) -> None:
        """Has no statement wait longer than a moment for a lock, until the transaction ends.

        For what reads tables that a gateway's role may lock as a whole (PostgreSQL: "Explicit Locking"). In
        SQLite who reads waits for nobody.
        """
        if self._connection.dialect.name == "postgresql":
            self._connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_A_MOMENT * 1000:.0f}ms'")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What happens within is undone alone when it raises.

        Raises:
            TransactionEnded: there is no transaction any more to do it in.
        """
        require_open(self._connection)
        with self._connection.begin_nested():
            yield

    def make_durable(self) -> None:
        """Has all that this transaction has seen on the disk when it is committed.

        In PostgreSQL one sees what others have committed before it is on the disk, and on that of a
        synchronous standby: a crash may yet undo it. (In SQLite `Store.record` sees to that by itself.)
        """
        if self._connection.dialect.name == "postgresql":
            self._connection.exec_driver_sql(MAKE_DURABLE)

    def report_bytes(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Notes how many payload bytes went in and out so far, by tunnel; of those that are still there."""
        columns = tables.tunnels.c
        if counts:
            self._connection.execute(
                update(tables.tunnels)
                .where(columns.id == bindparam("tunnel"))
                .values(bytes_in=bindparam("went_in"), bytes_out=bindparam("went_out")),
                [
                    {"tunnel": tunnel_id, "went_in": went_in, "went_out": went_out}
                    for tunnel_id, (went_in, went_out) in counts.items()
                ],
            )

    def forget_deletions(self, before: int) -> None:
        """Drops tombstones older than a revision; followers that stand before it read everything again."""
        tombstone, now = tables.tombstones.c, select(tables.feed.c.revision).scalar_subquery()
        # Not the mark of where the store is.
        old = (tombstone.revision < before, or_(tombstone.kind != tables.MARK, tombstone.revision < now))
        self._connection.execute(delete(tables.tombstones).where(*old))
        self._connection.execute(update(tables.feed).values(floor=before).where(tables.feed.c.floor < before))

    def begin_epoch(self) -> None:
        """Has everybody who follows read everything anew, whatever they have seen: the store was restored."""
        self._revision = next_epoch(self._next_revision())
        self._connection.execute(update(tables.feed).values(revision=self._revision, floor=self._revision))

    def _stamp(self, table: str) -> int:
        self.changed.add(table)
        return self._next_revision()

    def _next_revision(self) -> int:
        if not self._feeds:
            raise ReadOnly("what gateways follow changes only within Store.write")
        if self._revision is None:
            ((revision, *_),) = feed_statements.bump(self._connection.dialect).fetch(self._connection)
            self._revision = int(revision)
        return self._revision


def require_open(connection: Connection) -> None:
    """Refuses to go on, or to commit, when the database has ended the transaction of its own accord.

    SQLite does so when its disk is full, PostgreSQL when a statement fails outside a savepoint. Committing
    then raises nothing, and nothing is committed.

    Raises:
        TransactionEnded: it has.
    """
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        is_open = driver.in_transaction
    else:
        if (pipeline := pipeline_of(driver)) is not None:
            pipeline.exchange()
        is_open = driver.info.transaction_status in _OPEN
    if not is_open:
        raise TransactionEnded("the database has ended the transaction")
