"""Only documents that can be enforced, and that are within their quota, get into the store."""

import pytest

from hatchway.access.policy_documents import (
    TRUST_QUOTA,
    MalformedPolicy,
    PolicyKind,
    PolicyTooLarge,
    SizeQuota,
    check_policy_document,
)

ALLOW = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
TRUST = '{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "123456789012"}}}'


def test_a_policy_within_its_quota_passes() -> None:
    check_policy_document(ALLOW, SizeQuota.USER_INLINE)
    check_policy_document(TRUST, TRUST_QUOTA, kind=PolicyKind.TRUST)


@pytest.mark.parametrize(("text", "kind"), [(TRUST, PolicyKind.IDENTITY), (ALLOW, PolicyKind.TRUST)])
def test_each_kind_of_policy_is_refused_in_place_of_the_other(text: str, kind: PolicyKind) -> None:
    with pytest.raises(MalformedPolicy, match=r"Statement\[0\]"):
        check_policy_document(text, SizeQuota.MANAGED, kind=kind)


def test_white_space_does_not_count_and_the_other_policies_do() -> None:
    size = len("".join(ALLOW.split()))
    check_policy_document(ALLOW + " " * 5000, SizeQuota.USER_INLINE, besides=SizeQuota.USER_INLINE - size)
    with pytest.raises(PolicyTooLarge) as refusal:
        check_policy_document(ALLOW, SizeQuota.USER_INLINE, besides=SizeQuota.USER_INLINE - size + 1)
    assert (refusal.value.size, refusal.value.quota) == (2049, 2048)
    check_policy_document(ALLOW, size)


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(PolicyTooLarge):
        check_policy_document("[" * 60_000, SizeQuota.USER_INLINE)
