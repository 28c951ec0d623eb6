"""Policy documents on their way in: is this text a policy, and is it within its quota.

What writes policies (the IAM operations, the fleet file) asks here before it stores one, so that the store
holds only documents that can be enforced.
"""

from hatchway.iam import (
    MAX_POLICY_VERSIONS,
    TRUST_QUOTA,
    MalformedPolicy,
    PolicyKind,
    PolicyTooLarge,
    SizeQuota,
    check_size,
    document_size,
    parse_policy,
)

__all__ = [
    "MAX_POLICY_VERSIONS",
    "TRUST_QUOTA",
    "MalformedPolicy",
    "PolicyKind",
    "PolicyTooLarge",
    "SizeQuota",
    "check_policy_document",
    "document_size",
]


def check_policy_document(
    text: str, quota: SizeQuota | int, *, kind: PolicyKind = PolicyKind.IDENTITY, besides: int = 0
) -> None:
    """Refuses a text that is no policy of this kind, or that exceeds its quota.

    `besides` is the size of the identity's other inline policies (`document_size`), which share one quota.

    Raises:
        MalformedPolicy: it is no policy; the error names the place and the problem.
        PolicyTooLarge: it has more characters than the quota, white space not counted.
    """
    # The size first: what is too large is not worth the time that reading it takes, under the store's lock.
    check_size(text, quota, besides=besides)
    parse_policy(text, kind=kind)
