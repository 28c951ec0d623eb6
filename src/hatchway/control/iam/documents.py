"""Policy documents, and descriptions, on their way in."""

from collections.abc import Iterable

from hatchway.access.policy_documents import (
    TRUST_QUOTA,
    MalformedPolicy,
    PolicyKind,
    PolicyTooLarge,
    SizeQuota,
    check_policy_document,
    document_size,
)
from hatchway.domain.text import line_problem
from hatchway.protocol import ServiceError


def check_document(document: str, quota: SizeQuota, owner: str, others: Iterable[str] = ()) -> None:
    """Refuses what is no policy, or too large together with the owner's other inline policies.

    Raises:
        ServiceError: with the place and the problem, or the quota.
    """
    besides = sum(document_size(other) for other in others)
    try:
        check_policy_document(document, quota, besides=besides)
    except MalformedPolicy as problem:
        raise ServiceError("MalformedPolicyDocument", str(problem)) from None
    except PolicyTooLarge:
        raise ServiceError(
            "LimitExceeded", f"Maximum policy size of {int(quota)} bytes exceeded for {owner}"
        ) from None


def check_trust_policy(document: str) -> None:
    """
    Raises:
        ServiceError: it is no trust policy, with the place and the problem; or it is too large.
    """
    try:
        check_policy_document(document, TRUST_QUOTA, kind=PolicyKind.TRUST)
    except MalformedPolicy as problem:
        raise ServiceError("MalformedPolicyDocument", str(problem)) from None
    except PolicyTooLarge:
        raise ServiceError(
            "LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {TRUST_QUOTA}"
        ) from None


def check_description(description: str | None) -> str:
    """The description; empty when there is none.

    Raises:
        ServiceError: it is more than one line, or has a character that no text may have.
    """
    problem = line_problem(description or "")
    if problem is not None:
        raise ServiceError("ValidationError", f"The description {problem}.")
    return description or ""
