"""Size quotas, white space not counted."""

import pytest

from hatchway.iam import MalformedPolicy, PolicyTooLarge, SizeQuota, check_size, document_size


def test_white_space_is_not_counted() -> None:
    assert document_size(' {\n\t"Version" : "2012-10-17"\r\n} ') == len('{"Version":"2012-10-17"}')


@pytest.mark.parametrize(
    ("quota", "characters"),
    [
        (SizeQuota.USER_INLINE, 2048),
        (SizeQuota.GROUP_INLINE, 5120),
        (SizeQuota.ROLE_INLINE, 10240),
        (SizeQuota.MANAGED, 6144),
    ],
)
def test_a_policy_may_fill_its_quota_and_no_more(quota: SizeQuota, characters: int) -> None:
    check_size("x " * characters, quota)
    with pytest.raises(PolicyTooLarge) as refusal:
        check_size("x " * (characters + 1), quota)
    assert (refusal.value.size, refusal.value.quota) == (characters + 1, characters)


def test_inline_policies_of_one_user_count_together() -> None:
    check_size("x" * 48, SizeQuota.USER_INLINE, besides=2000)
    with pytest.raises(PolicyTooLarge):
        check_size("x" * 49, SizeQuota.USER_INLINE, besides=2000)


def test_white_space_may_be_thrice_the_quota_for_all_of_it_is_kept() -> None:
    check_size("x" + " " * 6144, SizeQuota.USER_INLINE)
    with pytest.raises(MalformedPolicy) as refusal:
        check_size("x" + " " * 6145, SizeQuota.USER_INLINE)
    problem = "document: has 6145 characters of white space, and may have 6144"
    assert str(refusal.value) == problem
