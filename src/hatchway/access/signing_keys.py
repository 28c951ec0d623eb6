"""What gateways verify with: signing keys for one date, region and service, sealed under the gateway key.

A gateway gets no secret access key, and not even these of everybody: AWS's scope names the service, so that
what verifies OpenTunnel also signs SendSSHPublicKey. There are none for the root user, nor for keys whose
policies allow no tunnel whatever is asked for. The control plane derives and seals them, for yesterday, today
and tomorrow (AWS: "Create a signed AWS API request", step 3); a gateway opens one for each request that it
verifies. Those of temporary credentials are for the days of their life, and are written with the session, as
those of other keys are with what newly allows their user tunnels (`granted_keys`): so he opens some at once.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final, TypeVar

import structlog

from hatchway.access.identities import IDENTITY_TABLES, StoredIdentities, resolve_caller
from hatchway.access.open_tunnel import ACTION
from hatchway.access.touched_keys import touched_keys
from hatchway.domain.arns import Arns
from hatchway.domain.identity import KeyStatus, OwnerKind, SealedSigningKey
from hatchway.domain.session import Session, SessionKind
from hatchway.iam import Effect, MalformedPolicy, PolicySet, parse_policy
from hatchway.keys.access_keys import secret_of
from hatchway.keys.vault import Unsealable, Vault
from hatchway.sigv4.keys import Scope, derive_signing_key, scope_text
from hatchway.sigv4.verification import CLOCK_SKEW
from hatchway.store import Position, Store, Transaction
from hatchway.store.tables import access_keys, roles, sealed_signing_keys, sessions, users

GATEWAY_SERVICE: Final = "ec2-instance-connect"
"""The one service whose requests gateways verify."""
_DAYS: Final = (-1, 0, 1)
_ROWS_AT_ONCE: Final = 200
"""Rows of one transaction: the store's write lock is never held for long."""

Row = TypeVar("Row")
Owner = tuple[OwnerKind, str]

log = structlog.get_logger("hatchway.access")


def gateway_dates(now: datetime) -> tuple[str, ...]:
    """Yesterday, today and tomorrow, as scopes write dates."""
    return tuple((now + timedelta(days=days)).strftime("%Y%m%d") for days in _DAYS)


def session_dates(session: Session, now: datetime) -> tuple[str, ...]:
    """Those of them on which a session's credentials sign something that may still be good."""
    first, last = session.issued_at - CLOCK_SKEW, session.expires_at + CLOCK_SKEW
    return tuple(date for date in gateway_dates(now) if f"{first:%Y%m%d}" <= date <= f"{last:%Y%m%d}")


def may_open_tunnels(policies: PolicySet) -> bool:
    """Whether each layer of policies has some Allow for opening tunnels; never for the root user.

    Neither conditions, resources nor a Deny count: whoever is told no could not open a single tunnel.
    """
    allowing = {
        candidate.layer
        for candidate in policies.index.view(ACTION).candidates
        if candidate.statement.effect is Effect.ALLOW
    }
    return not policies.is_root and allowing.issuperset(policies.required)


def session_signing_keys(
    gateway: Vault, session: Session, secret: str, policies: PolicySet, *, now: datetime, region: str
) -> list[SealedSigningKey]:
    """What gateways verify a new session's requests with; nothing when it may open no tunnel."""
    if not may_open_tunnels(policies):
        return []
    return [
        derived(gateway, session.access_key_id, date, secret, region=region)
        for date in session_dates(session, now)
    ]


def wanted_of(tx: Transaction, key_ids: Iterable[str], now: datetime) -> set[tuple[str, str]]:
    """The access keys among these, and the dates, for which there are to be signing keys."""
    # Only names come from the account, and nothing depends on them here.
    identities = StoredIdentities(tx, Arns("", ""))
    wanted: set[tuple[str, str]] = set()
    for key_id in key_ids:
        caller = resolve_caller(identities, key_id)
        if caller is None or not may_open_tunnels(caller.policies):
            continue
        session = caller.principal.session
        if session is None:
            wanted |= {(key_id, date) for date in gateway_dates(now)}
        elif session.good_at(now):
            wanted |= {(key_id, date) for date in session_dates(session, now)}
    return wanted


def derived(gateway: Vault, key_id: str, date: str, secret: str, *, region: str) -> SealedSigningKey:
    """What gateways verify with, of an access key on a date."""
    scope = Scope(date, region, GATEWAY_SERVICE)
    key = derive_signing_key(secret, scope.date, scope.region, scope.service)
    return seal_signing_key(gateway, key_id, scope, key)


def seal_signing_key(gateway: Vault, access_key_id: str, scope: Scope, key: bytes) -> SealedSigningKey:
    """The row of a signing key, which opens in no other's place."""
    return SealedSigningKey(
        access_key_id=access_key_id,
        date=scope.date,
        region=scope.region,
        service=scope.service,
        sealed=gateway.seal(key, _seal_context(access_key_id, *scope)),
        sealed_under=gateway.key_id,
    )


class SigningKeyOpener:
    """Opens rows for a gateway. A row that is not there takes the same path and time as one that is."""

    def __init__(self, gateway: Vault) -> None:
        self._gateway = gateway
        self._seal_nobody()

    def _seal_nobody(self) -> None:
        self._nobody = seal_signing_key(self._gateway, "", Scope("", "", ""), bytes(32))

    def open(self, row: SealedSigningKey | None) -> bytes | None:
        """The signing key. None: no row, or not what was sealed for its place under this gateway key."""
        if self._nobody.sealed_under != self._gateway.key_id:
            # Another gateway key has taken the former's place.
            self._seal_nobody()
        sealed = self._nobody if row is None else row
        context = _seal_context(sealed.access_key_id, sealed.date, sealed.region, sealed.service)
        try:
            key = self._gateway.unseal(sealed.sealed, context)
        except Unsealable:
            return None
        return None if row is None else key


class SigningKeys:
    """Keeps the signing keys in step with the account, for a control plane."""

    def __init__(
        self, store: Store, master: Vault, gateway: Vault, *, clock: Callable[[], datetime], region: str
    ) -> None:
        self._store = store
        self._master = master
        self._gateway = gateway
        self._clock = clock
        self._region = region
        self._lock = Lock()
        self._position: Position | None = None
        self._dates: tuple[str, ...] = ()
        self._sealed_under = gateway.key_id
        self._allowing: dict[bytes, bool] = {}
        self._allowing_arns: set[str] = set()
        self.unopened: frozenset[str] = frozenset()
        """The ids of the access keys whose secrets did not open last time: altered, or of another master key.
        For these there are no signing keys; the others have theirs."""

    @property
    def good_until(self) -> datetime | None:
        """The end of the last day for which all had their signing keys; None before any had."""
        if not self._dates:
            return None
        return datetime.strptime(self._dates[-1], "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=1)

    def refresh(self) -> int:
        """Derives what is missing and drops what is past or may not be any more; how many rows changed.

        It costs a glance when neither the day nor anything about identities is another than last time, and a
        look at those whose permissions a change may have altered. On another day, and after a change that may
        alter everybody's, all are looked at. The first time, and when another gateway key has taken the
        former's place, what is sealed under another is sealed again.
        """
        with self._lock:
            return self._refresh()

    def _refresh(self) -> int:
        now = self._clock()
        dates = gateway_dates(now)
        self._gateway.follow()
        if self._gateway.key_id != self._sealed_under:
            self._position, self._sealed_under = None, self._gateway.key_id
        since, same_day = self._position, dates == self._dates
        if same_day and since and self._store.position() == since:
            return 0
        with self._store.read() as tx:
            position = tx.position()
            if same_day and since and not tx.touched(since, IDENTITY_TABLES):
                self._position = position
                return 0
            touched = touched_keys(tx, since, now) if same_day and since else None
            # Of half an account, the other half's would be dropped.
            tx.require_whole()
            sealed, id_of_row = tx.sealed_signing_keys, sealed_signing_keys.c.access_key_id
            rows_held = sealed.find() if touched is None else sealed.find(id_of_row.in_(touched))
            held = {(row.access_key_id, row.date): row.sealed_under for row in rows_held}
            wanted = self._wanted(tx, now) if touched is None else wanted_of(tx, touched, now)
            # Another control plane with another gateway key would do the same to ours: once for each change,
            # not for ever.
            strict = not since or touched is not None
            good = {row for row, under in held.items() if not strict or under == self._gateway.key_id}
            missing = sorted(wanted - good)
            secrets = dict(self._secrets(tx, {key_id for key_id, _date in missing}, touched))
            rows = [
                derived(self._gateway, key_id, date, secrets[key_id], region=self._region)
                for key_id, date in missing
                if key_id in secrets
            ]
            in_clear = tx.has_clear_signing_keys()
        gone = sorted(held.keys() - wanted, key=lambda row: (row[1], row[0]))
        for part in _portions(rows):
            with self._store.write() as tx:
                known: set[str] = set()
                for column in (access_keys.c.id, sessions.c.access_key_id):
                    still_there = [column.in_({row.access_key_id for row in part})]
                    known |= {key_id for (key_id,) in tx.access_keys.values(column, where=still_there)}
                tx.sealed_signing_keys.put_all(row for row in part if row.access_key_id in known)
        for gone_part in _portions(gone):
            with self._store.write() as tx:
                # Whom a change since then touches keeps what he has until he is looked at the next time.
                since_then: frozenset[str] | None = frozenset()
                if tx.touched(position, IDENTITY_TABLES):
                    since_then = touched_keys(tx, position, now)
                if since_then is None:
                    break
                # They come by date.
                for date in dict.fromkeys(date for _, date in gone_part):
                    ids = [key_id for key_id, its in gone_part if its == date and key_id not in since_then]
                    tx.sealed_signing_keys.delete_where(id_of_row.in_(ids), date=date)
        if in_clear:
            with self._store.write() as tx:
                tx.forget_clear_signing_keys()
        self._position, self._dates = position, dates
        return len(rows) + len(gone)

    def _wanted(self, tx: Transaction, now: datetime) -> set[tuple[str, str]]:
        """The active keys, and the dates, of those whose policies may allow a tunnel."""
        live = tx.sessions.find(sessions.c.expires_at > now)
        owners = self._tunnel_owners(tx, live)
        return {
            (key.id, date)
            for key in tx.access_keys.find(status=KeyStatus.ACTIVE)
            if key.user_name is not None and (OwnerKind.USER, key.user_name) in owners
            for date in gateway_dates(now)
        } | {
            (session.access_key_id, date)
            for session in live
            if _owner(session) in owners and self._session_allows(session)
            for date in session_dates(session, now)
        }

    def _session_allows(self, session: Session) -> bool:
        """Whether its session policies, if it has some, have some Allow for opening tunnels."""
        if not session.restricted:
            return True
        own = session.policy is not None and self._allows(session.policy)
        return own or any(arn in self._allowing_arns for arn in session.policy_arns)

    def _tunnel_owners(self, tx: Transaction, live: Iterable[Session]) -> set[Owner]:
        """The users and roles of whom each layer of policies has some Allow for opening tunnels.

        By the rule of `may_open_tunnels`, for all at once.
        """
        documents = {
            (version.policy_arn, version.version_id): version.document
            for version in tx.policy_versions.find()
        }
        in_force = {
            policy.arn: documents.get((policy.arn, policy.default_version), "")
            for policy in tx.managed_policies.find()
        }
        inline = tx.inline_policies.find()
        self._learn(
            [
                *in_force.items(),
                *(
                    (f"{row.policy_name} of the {row.owner_kind} {row.owner_name}", row.document)
                    for row in inline
                ),
                *(
                    (f"the session policy of {session.access_key_id}", session.policy)
                    for session in live
                    if session.policy is not None
                ),
            ]
        )
        self._allowing_arns = allowing = {arn for arn, document in in_force.items() if self._allows(document)}
        guardrails = [guardrail.policy_arn for guardrail in tx.guardrails.find()]
        if guardrails and allowing.isdisjoint(guardrails):
            return set()
        owners = {
            (policy.owner_kind, policy.owner_name) for policy in inline if self._allows(policy.document)
        }
        owners |= {
            (attached.owner_kind, attached.owner_name)
            for attached in tx.attachments.find()
            if attached.policy_arn in allowing
        }
        owners |= {
            (OwnerKind.USER, member.user_name)
            for member in tx.memberships.find()
            if (OwnerKind.GROUP, member.group_name) in owners
        }
        bounded = {
            kind: dict(rows.values(table.c.name, table.c.permissions_boundary))
            for kind, rows, table in (
                (OwnerKind.USER, tx.users, users),
                (OwnerKind.ROLE, tx.roles, roles),
            )
        }
        # What names an owner may stay when it is gone.
        return {
            (kind, name)
            for kind, name in owners
            if kind in bounded
            and name in bounded[kind]
            and (bounded[kind][name] is None or bounded[kind][name] in allowing)
        }

    def _learn(self, documents: Iterable[tuple[str, str]]) -> None:
        """Reads the documents that are new, by whose they are, and forgets those that are gone."""
        before, self._allowing = self._allowing, {}
        for whose, document in documents:
            digest = _digest(document)
            known = before.get(digest)
            self._allowing[digest] = _allows_tunnels(whose, document) if known is None else known

    def _allows(self, document: str) -> bool:
        return self._allowing[_digest(document)]

    def _secrets(
        self, tx: Transaction, key_ids: Iterable[str], touched: frozenset[str] | None
    ) -> Iterator[tuple[str, str]]:
        """The secrets of access keys. One that does not open keeps nobody else from his: see `unopened`.

        `touched` are those that were looked at, None for all.
        """
        unopened = set() if touched is None else set(self.unopened - touched)
        for key_id in key_ids:
            try:
                secret = secret_of(tx, self._master, key_id)
            except Unsealable:
                unopened.add(key_id)
                continue
            if secret is not None:
                yield key_id, secret
        self.unopened = frozenset(unopened)


def _owner(session: Session) -> Owner | None:
    """Whose policies decide, None for the root user's."""
    if session.owner_name is None:
        return None
    kind = OwnerKind.ROLE if session.kind is SessionKind.ROLE else OwnerKind.USER
    return kind, session.owner_name


def _allows_tunnels(whose: str, document: str) -> bool:
    """Whether some Allow of the policy is about opening tunnels."""
    try:
        policy = parse_policy(document)
    except MalformedPolicy as problem:
        # What cannot be read allows nothing: see `stored_policies`.
        log.warning(
            "a stored policy cannot be read: it denies everything to those it is for, until it is put anew",
            policy=whose,
            problem=str(problem),
        )
        return False
    return any(
        statement.effect is Effect.ALLOW and statement.action.matches(ACTION.lower())
        for statement in policy.statements
    )


def _digest(document: str) -> bytes:
    return hashlib.sha256(document.encode()).digest()


def _portions(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows of one transaction each. After each the store is others' for as long as that has taken."""
    began = 0.0
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        if first:
            time.sleep(time.monotonic() - began)
        began = time.monotonic()
        yield rows[first : first + _ROWS_AT_ONCE]


def _seal_context(access_key_id: str, date: str, region: str, service: str) -> str:
    return f"signing key of {access_key_id} for {scope_text(date, region, service)}"
