"""What temporary credentials may not call (AWS: "Compare AWS STS credentials")."""

from typing import Final

from hatchway.access.authentication import UnknownAccessKey
from hatchway.access.principal import Principal
from hatchway.domain.session import SessionKind
from hatchway.protocol import ServiceError

_OF_ROLES: Final = frozenset({"GetSessionToken", "GetFederationToken"})
"""What a role's session may not call of sts."""
_LIKE_IAM: Final = ("hatchway", "ApplyFleet")
"""What changes users, roles and policies as calls of IAM do, which these credentials may not make."""
_OF_OTHERS: Final = frozenset({"AssumeRole", "GetCallerIdentity"})
"""All that credentials of GetSessionToken may call of sts."""


def check_may_call(principal: Principal, service: str, operation: str) -> None:
    """Returns when the caller's kind of credentials may call an operation at all.

    Raises:
        UnknownAccessKey: what AWS says of iam to credentials of GetSessionToken without a second factor.
        ServiceError: in other cases.
    """
    session = principal.session
    if session is None:
        return
    of_role = session.kind is SessionKind.ROLE
    if not of_role and session.mfa_authenticated_at is None:
        if service == "iam":
            raise UnknownAccessKey(session.access_key_id)
        if (service, operation) == _LIKE_IAM:
            raise ServiceError(
                "AccessDeniedException",
                f"Cannot call {operation} with credentials of GetSessionToken: it changes what IAM keeps, and"
                " they may not. Call it with the user's own access key or with a role.",
                status=403,
            )
    if service != "sts":
        return
    if operation in _OF_ROLES if of_role else operation not in _OF_OTHERS:
        raise ServiceError("AccessDenied", f"Cannot call {operation} with session credentials", status=403)
