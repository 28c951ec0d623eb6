"""Resolving a whole file, against an account or by itself."""

from datetime import UTC, datetime
from typing import Final

from hatchway.domain.account import Account
from hatchway.fleet.account_view import AccountView
from hatchway.fleet.consistency import check_consistency
from hatchway.fleet.declarations import Fleet
from hatchway.fleet.draft import Draft, begin_draft
from hatchway.fleet.identity_resolution import resolve_identities
from hatchway.fleet.network_resolution import resolve_network
from hatchway.fleet.problems import MOST_COMPARED, Problem, quoted, suggestion

_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def resolve(draft: Draft, fleet: Fleet) -> None:
    """Puts all of the file into the draft, and every problem with it."""
    resolve_network(draft, fleet)
    resolve_identities(draft, fleet)
    check_consistency(draft)


def problems_by_itself(fleet: Fleet) -> list[Problem]:
    """What is wrong with a file whatever the account holds, such as ranges that overlap.

    References may lead to what the account has, so those that lead out of the file are no problem here.
    """
    return _by_itself(fleet).problems.found


def references_outside(fleet: Fleet) -> list[Problem]:
    """The references that lead out of the file: only the account can tell whether they lead anywhere."""
    found, compared = [], 0
    for outside in _by_itself(fleet).outside:
        compared += len(outside.known)
        hint = suggestion(outside.reference, outside.known) if compared <= MOST_COMPARED else ""
        message = f"{outside.kind} {quoted(outside.reference)} is not in the file{hint}"
        found.append(Problem(outside.place, message))
    return found


def _by_itself(fleet: Fleet) -> Draft:
    account = Account(
        id=fleet.account or "000000000000",
        region=fleet.region or "us-east-1",
        gateway_dns_name="",
        created_at=_NEVER,
    )
    view = AccountView(account=account)
    draft = begin_draft(view, _NEVER, prune=False, partial=True, unread=fleet.unread)
    resolve(draft, fleet)
    return draft
