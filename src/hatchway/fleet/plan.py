"""The difference between the account as it is and as a fleet file says it should be. Pure.

A plan is both: what there is to read (`changes`), and what there is to write (`writes`). Whatever is not in
the one is not in the other.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from hatchway.domain.account import Account
from hatchway.domain.identity import OwnerKind
from hatchway.fleet.account_view import TABLES, AccountView
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.draft import KIND_OF, begin_draft, check_account, resolved_view
from hatchway.fleet.file_form import FileForms, Form
from hatchway.fleet.resolution import resolve

Row = tuple[str, str]
"""A table and a key: the row that a thing is."""

_ACCOUNT: Final = ("accounts", "")
_ORDER: Final = {"accounts": 0, **{table: order for order, table in enumerate(KIND_OF, start=1)}}
_OWNER_TABLE: Final = {OwnerKind.USER: "users", OwnerKind.GROUP: "groups", OwnerKind.ROLE: "roles"}


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One key of the file, dotted where it is within another, with its value before and after."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to one thing. `fields` are those that a change changes; `notes` are what else goes."""

    action: Action
    kind: str
    name: str
    id: str
    fields: tuple[FieldChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """Rows to put and keys to delete, by table; the secrets and tokens that go with what is deleted."""

    account: Account | None = None
    puts: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    deletes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    access_keys: tuple[str, ...] = ()
    host_tokens: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.account or self.puts or self.deletes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`unchanged` counts the things that the file names and that are as it says already."""

    changes: tuple[Change, ...]
    unchanged: int
    writes: Writes = field(repr=False, compare=False)

    @property
    def empty(self) -> bool:
        return not self.writes

    def count(self, action: Action) -> int:
        return sum(change.action is action for change in self.changes)


def make_plan(fleet: Fleet, view: AccountView, *, now: datetime, prune: bool = False) -> Plan:
    """What it takes to make the account be as the file says.

    Args:
        now: when what is created will have been created.
        prune: also take away what the file does not name.

    Raises:
        BadFleet: the file does not fit the account; it holds every problem.
    """
    draft = begin_draft(view, now, prune=prune, unread=fleet.unread)
    check_account(draft, fleet)
    resolve(draft, fleet)
    draft.problems.raise_any()
    return _difference(view, resolved_view(draft, fleet), draft.places.keys())


# --- the difference ---------------------------------------------------------------------------------------


def _difference(before: AccountView, after: AccountView, named: Iterable[Row]) -> Plan:
    puts: dict[str, tuple[Any, ...]] = {}
    deletes: dict[str, tuple[Any, ...]] = {}
    touched: set[Row] = set()
    for table in TABLES:
        old, new = getattr(before.rows, table), getattr(after.rows, table)
        changed = [key for key, noun in new.items() if (was := old.get(key)) is not noun and was != noun]
        gone = [key for key in old if key not in new]
        if changed:
            puts[table] = tuple(new[key] for key in changed)
        if gone:
            deletes[table] = tuple(gone)
        touched.update(_owner(table, new[key]) for key in changed)
        touched.update(_owner(table, old[key]) for key in gone)
    account = after.account if after.account != before.account else None
    if account is not None:
        touched.add(_ACCOUNT)
    changes = _changes(before, after, touched)
    return Plan(
        changes=changes,
        unchanged=sum(row not in touched for row in named),
        writes=Writes(
            account=account,
            puts=puts,
            deletes=deletes,
            access_keys=tuple(
                key for user in deletes.get("users", ()) for key in before.access_keys.get(user, ())
            ),
            host_tokens=tuple(
                instance for instance in deletes.get("instances", ()) if instance in before.enrolled_instances
            ),
        ),
    )


def _owner(table: str, noun: Any) -> Row:
    """The thing that a row is, or is a part of."""
    match table:
        case "network_interfaces":
            return "endpoints", noun.endpoint_id
        case "security_group_rules":
            return "security_groups", noun.group_id
        case "policy_versions":
            return "managed_policies", noun.policy_arn
        case "memberships":
            return "users", noun.user_name
        case "attachments" | "inline_policies":
            return _OWNER_TABLE[noun.owner_kind], noun.owner_name
        case "guardrails" | "account_aliases":
            return _ACCOUNT
        case "managed_policies":
            return table, noun.arn
        case "groups" | "users" | "roles":
            return table, noun.name
        case _:
            return table, noun.id


def _changes(before: AccountView, after: AccountView, touched: set[Row]) -> tuple[Change, ...]:
    old, new = _Describer(before), _Describer(after)
    coming, going = [], []
    for row in touched:
        if new.has(row):
            action = Action.CHANGE if old.has(row) else Action.CREATE
            fields = _fields(old.form(row), new.form(row)) if action is Action.CHANGE else ()
            coming.append((_ORDER[row[0]], new.change(row, action, fields)))
        else:
            going.append((-_ORDER[row[0]], old.change(row, Action.DELETE, (), _lost(before, row))))
    # What others depend on is created first and deleted last.
    return tuple(
        change
        for pairs in (coming, going)
        for _, change in sorted(pairs, key=lambda pair: (pair[0], pair[1].name, pair[1].id))
    )


def _lost(before: AccountView, row: Row) -> tuple[str, ...]:
    """What goes with a thing that is deleted, and does not come back with it."""
    table, key = row
    notes = []
    if table == "users" and (keys := before.access_keys.get(key)):
        notes.append(f"with its access key{'s' if len(keys) > 1 else ''} {', '.join(sorted(keys))}")
    if table == "instances" and key in before.enrolled_instances:
        notes.append("with its host token: the host must be enrolled again if it comes back")
    if table == "endpoints":
        notes.append("open tunnels through it end")
    return tuple(notes)


class _Describer:
    """The things of one view: whether one is there, what it is called, how the file would put it."""

    def __init__(self, view: AccountView) -> None:
        self._rows = view.rows
        self._forms = FileForms(view)

    def has(self, row: Row) -> bool:
        return row == _ACCOUNT or row[1] in getattr(self._rows, row[0])

    def form(self, row: Row) -> Form:
        if row == _ACCOUNT:
            return self._forms.account()
        table, key = row
        noun = getattr(self._rows, table)[key]
        forms = self._forms
        write: Mapping[str, Callable[[Any], Form]] = {
            "vpcs": forms.vpc,
            "subnets": forms.subnet,
            "security_groups": forms.security_group,
            "instances": forms.instance,
            "endpoints": forms.endpoint,
            "managed_policies": forms.policy,
            "groups": forms.group,
            "users": forms.user,
            "roles": forms.role,
        }
        named = {} if table in ("managed_policies", "groups", "users", "roles") else {"name": noun.name}
        return {**named, **write[table](noun)}

    def change(
        self, row: Row, action: Action, fields: tuple[FieldChange, ...], notes: tuple[str, ...] = ()
    ) -> Change:
        if row == _ACCOUNT:
            return Change(action=action, kind="account", name="", id="", fields=fields, notes=notes)
        table, key = row
        noun = getattr(self._rows, table)[key]
        name = {"subnets": self._forms.subnet_path, "security_groups": self._forms.group_path}.get(table)
        return Change(
            action=action,
            kind=KIND_OF[table],
            name=name(key) if name else noun.name or noun.id,
            id=noun.id,
            fields=fields,
            notes=notes,
        )


def _fields(old: Form, new: Form) -> tuple[FieldChange, ...]:
    """The keys whose values differ, in the order of the file; those within a mapping each by itself."""
    found: list[FieldChange] = []
    for key in new:
        was, now = old.get(key), new[key]
        if key == "id" or was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            found += [
                FieldChange(f"{key}.{inner}", was.get(inner), now.get(inner))
                for inner in sorted({*was, *now})
                if was.get(inner) != now.get(inner)
            ]
        else:
            found.append(FieldChange(key, was, now))
    return tuple(found)
