"""How large policies may be ("IAM and AWS STS quotas")."""

from __future__ import annotations

from enum import IntEnum

from hatchway.iam.errors import PolicyTooLarge


class SizeQuota(IntEnum):
    """Characters, white space not counted; inline, all the inline policies of an identity count together."""

    USER_INLINE = 2048
    GROUP_INLINE = 5120
    ROLE_INLINE = 10240
    MANAGED = 6144


TRUST_QUOTA = 2048
"""Characters of a role's trust policy, white space not counted."""

MAX_POLICY_VERSIONS = 5
"""Versions that a managed policy keeps."""


def document_size(text: str) -> int:
    """Characters of a document, white space not counted."""
    return sum(map(len, text.split()))


def check_size(document_text: str, quota: SizeQuota | int, *, besides: int = 0) -> None:
    """Raise PolicyTooLarge when a document, with `besides` characters of the others, exceeds its quota."""
    size = document_size(document_text) + besides
    if size > quota:
        raise PolicyTooLarge(size, int(quota))
