"""From what a file declares to the account as it should be: names become ids, references become links.

The account that should be is the one that is, changed where the file says so; under pruning it holds only
what the file names. Problems are gathered, never raised: only an account without problems is worth having.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from hatchway.domain.account import AccountAlias, Quotas
from hatchway.domain.arns import Arns
from hatchway.fleet.account_view import AccountView, Rows, copy_of
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.problems import MOST_COMPARED, Problems, quoted, suggestion

KIND_OF: Final[Mapping[str, str]] = {
    "vpcs": "vpc",
    "subnets": "subnet",
    "security_groups": "security group",
    "instances": "instance",
    "endpoints": "endpoint",
    "managed_policies": "policy",
    "groups": "group",
    "users": "user",
    "roles": "role",
}
"""What a row of a table is called. Rows of other tables are parts of these."""


@dataclass(frozen=True, slots=True)
class Outside:
    """A reference that leads out of a file looked at by itself; `known` is what it could mean there."""

    place: str
    reference: str
    kind: str
    known: Collection[str]


@dataclass(slots=True)
class Draft:
    """The account as it should be, while it is being worked out.

    `places` says where in the file a row comes from: `(table, key)` to a place. `partial` drafts are of a
    file that is looked at by itself: a reference that leads out of it is then no problem, but noted in
    `outside`. One to what is in `unread`, with which something else is wrong, is neither.
    """

    before: AccountView
    now: datetime
    prune: bool
    partial: bool
    problems: Problems
    unread: Collection[str] = ()
    after: Rows = field(default_factory=Rows)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    outside: list[Outside] = field(default_factory=list)
    compared: int = 0
    """Pairs of names that were compared to tell what was likely meant."""

    @property
    def account(self) -> str:
        return self.before.account.id

    @property
    def region(self) -> str:
        return self.before.account.region

    @property
    def arns(self) -> Arns:
        return Arns(self.account, self.region)

    def claim(self, table: str, key: str, place: str) -> bool:
        """Notes that the file names this row; false, with a problem, when it does so a second time."""
        other = self.places.setdefault((table, key), place)
        if other == place:
            return True
        self.problems.add(place, f"has the id {key}, which {other} has too")
        return False

    def place_of(self, table: str, key: str) -> str | None:
        return self.places.get((table, key))

    def unresolved(
        self, place: str, reference: str, kind: str, known: Collection[str], *, pruned: bool = False
    ) -> None:
        """Nothing has this name or id: a problem, unless the file is looked at by itself."""
        if reference in self.unread:
            return
        if self.partial:
            self.outside.append(Outside(place, reference, kind, known))
        elif pruned:
            self.problems.add(
                place, f"{quoted(reference)} is not in the file, so pruning would remove that {kind}"
            )
        else:
            self.compared += len(known)
            near = suggestion(reference, known) if self.compared <= MOST_COMPARED else ""
            hint = near or ": it must be in the file or in the account"
            self.problems.add(place, f"there is no {kind} {quoted(reference)}{hint}")


def begin_draft(
    before: AccountView,
    now: datetime,
    *,
    prune: bool,
    partial: bool = False,
    unread: Collection[str] = (),
) -> Draft:
    """A draft that holds what stays although the file may not name it."""
    draft = Draft(before, now, prune, partial, Problems(), unread)
    if prune:
        draft.after.roles = {
            name: role for name, role in before.rows.roles.items() if role.linked_service is not None
        }
    else:
        draft.after = copy_of(before.rows)
    return draft


def check_account(draft: Draft, fleet: Fleet) -> None:
    """The file must be for this account and region, when it says for which it is.

    One that says nothing at all is likely not meant to delete everything.
    """
    if draft.prune and fleet == Fleet(digest=fleet.digest):
        draft.problems.add("", "the file names nothing, so pruning would delete everything")
    for name, wanted, present in (
        ("account", fleet.account, draft.account),
        ("region", fleet.region, draft.region),
    ):
        if wanted is not None and wanted != present:
            draft.problems.add(
                name,
                f"the file is for {wanted}, this server is {present}: if it is the one that you mean,"
                f" have the file name {present}, here and in ARNs",
            )


def resolved_view(draft: Draft, fleet: Fleet) -> AccountView:
    """The account as it should be, once all sections are resolved."""
    account = draft.before.account
    quotas = fleet.quotas or (Quotas() if draft.prune else account.quotas)
    ends = fleet.end_tunnels_with_credentials
    if ends is None:
        ends = account.end_tunnels_with_credentials and not draft.prune
    if fleet.account_alias is not None:
        draft.after.account_aliases = {fleet.account_alias: AccountAlias(alias=fleet.account_alias)}
    account = replace(
        account,
        gateway_dns_name=fleet.gateway_dns_name or account.gateway_dns_name,
        quotas=quotas,
        end_tunnels_with_credentials=ends,
    )
    return replace(draft.before, account=account, rows=draft.after)
