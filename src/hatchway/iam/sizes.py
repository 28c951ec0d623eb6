"""How large policies may be ("IAM and AWS STS quotas")."""

from __future__ import annotations

from enum import IntEnum

from hatchway.iam.errors import MalformedPolicy, PolicyTooLarge


class SizeQuota(IntEnum):
    """Characters, white space not counted; inline, all the inline policies of an identity count together."""

    USER_INLINE = 2048
    GROUP_INLINE = 5120
    ROLE_INLINE = 10240
    MANAGED = 6144


TRUST_QUOTA = 2048
"""Characters of a role's trust policy, white space not counted."""

WHITE_SPACE = 3
"""How many times its quota a document may have as white space besides: all of it is stored, kept by every
gateway and given back, and nobody indents so far. AWS takes 131,072 characters in all."""

MAX_POLICY_VERSIONS = 5
"""Versions that a managed policy keeps."""


def document_size(text: str) -> int:
    """Characters of a document, white space not counted."""
    return sum(map(len, text.split()))


def check_size(document_text: str, quota: SizeQuota | int, *, besides: int = 0) -> None:
    """Returns when a document is within its quota, `besides` being the characters of those that share it.

    Raises:
        PolicyTooLarge: it has more characters.
        MalformedPolicy: it is nearly all white space.
    """
    size = document_size(document_text)
    if size + besides > quota:
        raise PolicyTooLarge(size + besides, int(quota))
    white_space, most = len(document_text) - size, WHITE_SPACE * int(quota)
    if white_space > most:
        raise MalformedPolicy("document", f"has {white_space} characters of white space, and may have {most}")
