"""IAM's quotas (AWS: "IAM and AWS STS quotas"), and the rule of its names.

A fleet file may go beyond the number of things that an account or an identity has: what it made is kept, and
the API adds nothing to it.
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import String, bindparam, func, select

from hatchway.access.policy_documents import MAX_POLICY_VERSIONS, TRUST_QUOTA, SizeQuota
from hatchway.keys.access_keys import MOST_KEYS
from hatchway.protocol import ServiceError
from hatchway.store import Rows, Transaction

PER_ACCOUNT: Final = {"Groups": 300, "Roles": 1000, "Policies": 1500}
"""AWS's own. How many users there may be, the account's quotas say."""
GROUPS_PER_USER: Final = 10
ATTACHED_POLICIES: Final = 10
"""Managed policies of a user, group or role."""
TAGS: Final = 50

SUMMARY: Final = {
    **{f"{things}Quota": most for things, most in PER_ACCOUNT.items()},
    "GroupsPerUserQuota": GROUPS_PER_USER,
    "AttachedPoliciesPerUserQuota": ATTACHED_POLICIES,
    "AttachedPoliciesPerGroupQuota": ATTACHED_POLICIES,
    "AttachedPoliciesPerRoleQuota": ATTACHED_POLICIES,
    "AccessKeysPerUserQuota": MOST_KEYS,
    "VersionsPerPolicyQuota": MAX_POLICY_VERSIONS,
    "PolicyVersionsInUseQuota": PER_ACCOUNT["Policies"] * MAX_POLICY_VERSIONS,
    "PolicySizeQuota": int(SizeQuota.MANAGED),
    "UserPolicySizeQuota": int(SizeQuota.USER_INLINE),
    "GroupPolicySizeQuota": int(SizeQuota.GROUP_INLINE),
    "RolePolicySizeQuota": int(SizeQuota.ROLE_INLINE),
    "AssumeRolePolicySizeQuota": TRUST_QUOTA,
}
"""The quotas as GetAccountSummary names them, but that of users."""


def require_room(rows: Rows[Any], things: str) -> None:
    """
    Raises:
        ServiceError: the account has as many of these things as it may.
    """
    _require(rows, things, PER_ACCOUNT[things])


def require_room_for_user(tx: Transaction) -> None:
    """
    Raises:
        ServiceError: the account has as many users as it may.
    """
    _require(tx.users, "Users", tx.account().quotas.users_per_account)


def _require(rows: Rows[Any], things: str, most: int) -> None:
    if rows.count() >= most:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for {things}PerAccount: {most}")


def require_free_name(
    rows: Rows[Any], column: Any, name: str, message: str, *, but: str | None = None
) -> None:
    """Names that differ in case alone are one name (AWS: "IAM identifiers").

    `but` is the present name of what is to be renamed, which takes no name from itself.

    Raises:
        ServiceError: another has the name.
    """
    if rows.scalar(_others_of_name(column), name=name.lower(), but=but or ""):
        raise ServiceError("EntityAlreadyExists", message)


@cache
def _others_of_name(column: Any) -> Any:
    return select(func.count()).where(
        func.lower(column) == bindparam("name", type_=String), column != bindparam("but", type_=String)
    )
