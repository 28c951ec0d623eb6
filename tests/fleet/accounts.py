"""Accounts to apply fleet files to, as values."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchway.domain.account import Account
from hatchway.fleet import Fleet, Plan, parse_fleet
from hatchway.fleet.account_view import AccountView, copy_of
from hatchway.fleet.plan import make_plan

HERE = Path(__file__).parent
NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)
LATER = datetime(2026, 11, 25, 6, 17, 23, tzinfo=UTC)
ACCOUNT = Account(
    id="123456789012", region="us-east-1", gateway_dns_name="gateway.example.com", created_at=NOW
)
EMPTY = AccountView(account=ACCOUNT)


def fleet(text: str) -> Fleet:
    return parse_fleet(text.encode())


def carried_out(view: AccountView, plan: Plan) -> AccountView:
    """The view once the plan's writes are done: what `apply` does to a store, done to values."""
    rows = copy_of(view.rows)
    for table, keys in plan.writes.deletes.items():
        for key in keys:
            del getattr(rows, table)[key]
    for table, nouns in plan.writes.puts.items():
        for noun in nouns:
            getattr(rows, table)[KEYS[table](noun)] = noun
    return AccountView(account=plan.writes.account or view.account, rows=rows)


def _attached(noun: Any) -> tuple[Any, ...]:
    return noun.owner_kind, noun.owner_name, getattr(noun, "policy_arn", None) or noun.policy_name


KEYS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            "vpcs",
            "subnets",
            "security_group_rules",
            "security_groups",
            "instances",
            "endpoints",
            "network_interfaces",
        ),
        lambda noun: noun.id,
    ),
    "account_aliases": lambda noun: noun.alias,
    "managed_policies": lambda noun: noun.arn,
    "policy_versions": lambda noun: (noun.policy_arn, noun.version_id),
    **dict.fromkeys(("groups", "users", "roles"), lambda noun: noun.name),
    "memberships": lambda noun: (noun.user_name, noun.group_name),
    "attachments": _attached,
    "inline_policies": _attached,
    "guardrails": lambda noun: noun.policy_arn,
}


def account_of(*texts: str) -> AccountView:
    """An account to which these files have been applied, one after the other."""
    view = EMPTY
    for text in texts:
        view = carried_out(view, make_plan(fleet(text), view, now=NOW))
    return view
