"""The access keys of those whose permissions a change of the account may have altered.

So that what follows from permissions is worked out again for these alone, in an account of any size.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from hatchway.access.identities import IDENTITY_TABLES
from hatchway.domain.identity import OwnerKind
from hatchway.domain.session import SessionKind
from hatchway.store import Position, Transaction
from hatchway.store.tables import KINDS, access_keys, memberships, roles, sealed_signing_keys, sessions, users

_OF_ALL: Final = frozenset({"accounts", "guardrails"})
_MOST: Final = 500
"""Rows that have changed, owners and keys: with more, it is as quick to look at all."""

Owner = tuple[OwnerKind, str]


def touched_keys(tx: Transaction, since: Position, now: datetime) -> frozenset[str] | None:
    """The ids of access keys, temporary ones among them; None when they may be all, or are many.

    Those that are gone since the revision are among them, and so are temporary ones that have expired.
    """
    return touched_after(tx, since.revision, IDENTITY_TABLES, now) if tx.follows(since) else None


def touched_after(
    tx: Transaction, revision: int, tables: Collection[str], now: datetime
) -> frozenset[str] | None:
    """The same after a revision of this store's recent past, since which nothing about identities has changed
    but rows of some tables."""
    changed = _changed(tx, revision, tables)
    if changed is None or any(changed[table] for table in _OF_ALL):
        return None
    arns = {arn for table in ("managed_policies", "policy_versions") for arn, *_ in changed[table]}
    if arns and not arns.isdisjoint(row.policy_arn for row in tx.guardrails.find()):
        return None
    owners = _owners(tx, changed, arns)
    keys = {key_id for (key_id,) in changed["access_keys"]} | _of_sessions(tx, owners, arns, now)
    for kind, name in owners:
        if len(keys) > _MOST:
            return None
        if kind is OwnerKind.USER:
            keys |= _first(tx.access_keys.values(access_keys.c.id, where=[access_keys.c.user_name == name]))
    return frozenset(keys) if max(len(keys), len(owners)) <= _MOST else None


def _changed(tx: Transaction, since: int, tables: Collection[str]) -> dict[str, set[tuple[str, ...]]] | None:
    """The primary keys of the rows about identities that came, changed or went; None for many."""
    changed: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for table in tables:
        rows = getattr(tx, table)
        found = rows.since(since)
        if len(found) > _MOST:
            return None
        changed[table] = {tuple(map(str, rows.key_of(row))) for row in found}
    for kind, key in tx.deleted_since(since):
        if (name := KINDS.get(kind)) is not None and name in tables:
            changed[name].add(tuple(json.loads(key)))
    return None if sum(map(len, changed.values())) > _MOST else changed


def _owners(tx: Transaction, changed: dict[str, set[tuple[str, ...]]], arns: Iterable[str]) -> set[Owner]:
    """The users and roles whose policies are others, or other than they were."""
    owners: set[Owner] = {
        (OwnerKind(kind), name)
        for table in ("inline_policies", "attachments")
        for kind, name, *_ in changed[table]
    }
    owners |= {(OwnerKind.USER, name) for table in ("users", "memberships") for name, *_ in changed[table]}
    owners |= {(OwnerKind.ROLE, name) for (name,) in changed["roles"]}
    for arn in arns:
        owners |= {(row.owner_kind, row.owner_name) for row in tx.attachments.find(policy_arn=arn)}
        for kind, rows, bounded in (
            (OwnerKind.USER, tx.users, users.c),
            (OwnerKind.ROLE, tx.roles, roles.c),
        ):
            names = _first(rows.values(bounded.name, where=[bounded.permissions_boundary == arn]))
            owners |= {(kind, name) for name in names}
    for kind, group in tuple(owners):
        if kind is OwnerKind.GROUP:
            owners.remove((kind, group))
            members = tx.memberships.values(
                memberships.c.user_name, where=[memberships.c.group_name == group]
            )
            owners |= {(OwnerKind.USER, name) for name in _first(members)}
    return owners


def _of_sessions(tx: Transaction, owners: set[Owner], arns: set[str], now: datetime) -> set[str]:
    """The keys of the sessions of some owners or with some session policies, and of expired ones that are
    still verified."""
    columns, verified = sessions.c, sealed_signing_keys.c.access_key_id
    expired = verified.in_(select(columns.access_key_id).where(columns.expires_at <= now))
    what = (columns.access_key_id, columns.kind, columns.owner_name, columns.policy_arns)
    where = [columns.expires_at > now]
    if not arns:
        where.append(columns.owner_name.in_([name for _, name in owners]))
    return _first(tx.sealed_signing_keys.values(verified, where=[expired])) | {
        key_id
        for key_id, kind, name, policies in tx.sessions.values(*what, where=where)
        if (OwnerKind.ROLE if kind is SessionKind.ROLE else OwnerKind.USER, name) in owners
        or not arns.isdisjoint(policies)
    }


def _first(rows: Iterable[tuple[Any, ...]]) -> set[str]:
    return {value for (value, *_) in rows}
