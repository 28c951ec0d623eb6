"""The fleet file on a store: the account is read from it, and a plan written to it, each in a transaction.

What a file says, and what it takes to make the account so, `hatchway.fleet` works out. Each application is
recorded in the audit trail.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import tuple_

from hatchway.access.sessions import end_sessions
from hatchway.audit.events import Outcome, event
from hatchway.audit.local import LocalAdministrator, local_source
from hatchway.audit.log import to_record
from hatchway.domain.account import Account, AuditRecord
from hatchway.domain.session import SessionKind
from hatchway.fleet.account_view import TABLES, AccountView, Rows
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.export import export_view
from hatchway.fleet.plan import Action, Plan, Writes, make_plan
from hatchway.fleet.plan_text import change_line
from hatchway.fleet.problems import BadFleet
from hatchway.keys.access_keys import delete_access_key
from hatchway.store import Position, Store, Transaction
from hatchway.store.tables import FEED, metadata

_FOLLOWED: Final = frozenset(table.name for table in FEED) & {*TABLES, "accounts", "access_keys"}
_UNFOLLOWED: Final = frozenset(TABLES) - _FOLLOWED
"""The tables that a view of the account is read from: those whose changes the feed has, and the others."""
_MOST_CHANGES_TOLD: Final = 500
PLANS: Final = 3
"""How often a plan is made while others may write, before it is made while none may."""
_AT_ONCE: Final = 500


def plan_fleet(store: Store, fleet: Fleet, *, now: datetime, prune: bool = False) -> Plan:
    """What `apply_fleet` would do.

    Raises:
        BadFleet: the file does not fit the account; it holds every problem.
    """
    with store.read() as tx:
        view = read_account(tx)
    return make_plan(fleet, view, now=now, prune=prune)


def every_problem(store: Store, bad: BadFleet, *, now: datetime, prune: bool = False) -> BadFleet:
    """All that is wrong with a file which could not be read whole: also where the rest fits no account."""
    if bad.readable is None:
        return bad
    try:
        plan_fleet(store, bad.readable, now=now, prune=prune)
    except BadFleet as more:
        return BadFleet((*bad.problems, *more.problems))
    return bad


def apply_fleet(
    store: Store,
    fleet: Fleet,
    *,
    now: datetime,
    prune: bool = False,
    administrator: LocalAdministrator,
    granted: Callable[[Transaction], object] = lambda _tx: None,
) -> Plan:
    """Makes the account be as the file says, all or nothing; what was done.

    `granted` does, in the same transaction, what follows from new permissions.

    Raises:
        BadFleet: the file does not fit the account; it holds every problem, and nothing was changed.
    """
    # A large plan takes seconds, in which nobody else could write: so it is made before, and when it comes
    # late, again.
    for left in reversed(range(PLANS)):
        with store.read() as tx:
            view = read_account(tx)
        plan = make_plan(fleet, view, now=now, prune=prune)
        with store.write() as tx:
            if not is_current(view, tx):
                if left:
                    continue
                # Others write all the time, and would for ever.
                view = read_account(tx)
                plan = make_plan(fleet, view, now=now, prune=prune)
            write_plan(tx, plan.writes)
            granted(tx)
            tx.audit_records.add(
                _audit_record(view.account, fleet, plan, now=now, prune=prune, administrator=administrator)
            )
            break
    return plan


def export_fleet(store: Store) -> str:
    """The account as a fleet file, in YAML."""
    with store.read() as tx:
        view = read_account(tx)
    return export_view(view)


def read_account(tx: Transaction) -> AccountView:
    """All of the account. Endpoints that are deleted and merely still listed count as gone."""
    rows = Rows()
    for table in TABLES:
        getattr(rows, table).update(_rows_of(tx, table))
    rows.endpoints = {key: endpoint for key, endpoint in rows.endpoints.items() if not endpoint.deleted}
    rows.network_interfaces = {
        key: interface
        for key, interface in rows.network_interfaces.items()
        if interface.endpoint_id in rows.endpoints
    }
    keys: dict[str, list[str]] = defaultdict(list)
    for access_key in tx.access_keys.find():
        if access_key.user_name is not None:
            keys[access_key.user_name].append(access_key.id)
    return AccountView(
        account=tx.account(),
        rows=rows,
        access_keys=dict(keys),
        enrolled_instances=_enrolled_instances(tx),
        position=tx.position(),
    )


def is_current(view: AccountView, tx: Transaction) -> bool:
    """Whether reading the account again would give the same, without reading most of it."""
    # What else the feed has, such as sessions, is none of a plan's business, and comes and goes all the time.
    return (
        not tx.touched(Position(*view.position), _FOLLOWED)
        and _enrolled_instances(tx) == view.enrolled_instances
        and all(_rows_of(tx, table) == getattr(view.rows, table) for table in _UNFOLLOWED)
    )


def _rows_of(tx: Transaction, table: str) -> Mapping[Any, Any]:
    """All nouns of a table, by their keys."""
    repository: Any = getattr(tx, table)
    keyed = ((repository.key_of(noun), noun) for noun in repository.find())
    return {key[0] if len(key) == 1 else key: noun for key, noun in keyed}


def policy_documents(tx: Transaction) -> frozenset[str]:
    """The texts of all policy documents that the account has."""
    texts = {version.document for version in tx.policy_versions.find()}
    texts |= {inline.document for inline in tx.inline_policies.find()}
    texts |= {role.trust_policy for role in tx.roles.find()}
    return frozenset(texts)


def _enrolled_instances(tx: Transaction) -> frozenset[str]:
    return frozenset(token.instance_id for token in tx.host_tokens.find())


def write_plan(tx: Transaction, writes: Writes) -> None:
    """Writes what a plan takes."""
    if writes.account is not None:
        tx.accounts.put(writes.account)
    for table, keys in writes.deletes.items():
        columns = metadata.tables[table].primary_key.columns
        for start in range(0, len(keys), _AT_ONCE):
            some = [key if isinstance(key, tuple) else (key,) for key in keys[start : start + _AT_ONCE]]
            getattr(tx, table).delete_where(tuple_(*columns).in_(some))
    end_sessions(tx, SessionKind.ROLE, writes.deletes.get("roles", ()))
    end_sessions(tx, SessionKind.USER, writes.deletes.get("users", ()))
    for table, nouns in writes.puts.items():
        getattr(tx, table).put_all(nouns)
    for key_id in writes.access_keys:
        delete_access_key(tx, key_id)
    for instance_id in writes.host_tokens:
        tx.host_tokens.delete(instance_id)
        tx.host_public_keys.delete(instance_id)
        tx.pushed_keys.delete_where(instance_id=instance_id)


def told_counts(plan: Plan) -> Mapping[str, int]:
    """How much a plan does, for the audit trail."""
    return {
        "created": plan.count(Action.CREATE),
        "changed": plan.count(Action.CHANGE),
        "deleted": plan.count(Action.DELETE),
        "unchanged": plan.unchanged,
    }


def told_changes(plan: Plan) -> Mapping[str, Any]:
    """What a plan does, a line for each thing, for the audit trail; of very many not all."""
    told = [change_line(change) for change in plan.changes[:_MOST_CHANGES_TOLD]]
    omitted = len(plan.changes) - len(told)
    return {"changes": told, **({"changesOmitted": omitted} if omitted else {})}


def _audit_record(
    account: Account,
    fleet: Fleet,
    plan: Plan,
    *,
    now: datetime,
    prune: bool,
    administrator: LocalAdministrator,
) -> AuditRecord:
    body = event(
        local_source(account, administrator),
        event_id=str(uuid.uuid4()),
        time=now,
        name="ApplyFleet",
        read_only=False,
        request_parameters={"fileSha256": fleet.digest, "prune": prune},
        outcome=Outcome(response_elements=told_counts(plan), additional=told_changes(plan)),
    )
    return to_record(body, now)
