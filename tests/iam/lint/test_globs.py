"""Two patterns: whether some text matches both, and whether one matches all that the other does."""

import pytest

from hatchway.iam.lint.globs import arns_may_meet, covers, may_meet
from hatchway.iam.patterns import Tokens, glob, tokenise


def tokens(pattern: str) -> Tokens:
    return tokenise(pattern, wildcards=True, variables=False)


def test_two_globs_meet_when_some_text_matches_both() -> None:
    texts = ["", "a", "b", "aa", "ab", "ba", "bb", "aab", "aba", "abb", "abab", "bbaa"]
    patterns = ["", "a", "*", "?", "a*", "*a", "?b", "a*b", "*ab*", "??", "*?b", "b*a*"]
    for one in patterns:
        for other in patterns:
            left, right = (tokenise(p, wildcards=True, variables=False) for p in (one, other))
            both = [text for text in texts if glob(left)(text) and glob(right)(text)]
            assert may_meet(left, right) or not both, (one, other, both)
            if len(one) + len(other) <= 4:  # then the texts above are enough to meet in
                assert may_meet(left, right) is bool(both), (one, other)


def test_two_globs_of_many_wildcards_are_told_apart_at_once() -> None:
    assert not may_meet(tokens(f"{'*a' * 20}b"), tokens(f"{'*a' * 20}c"))


def test_what_looks_like_a_variable_is_ordinary_text() -> None:
    assert covers("${aws:*", "${aws:username}", arn=False)


def test_a_pattern_that_covers_another_matches_all_that_it_does() -> None:
    texts = ["a:", "a:b", "a:bb", "a:ab", "ab:b", "b:a", "a:b*", "a:?", "a:bab"]
    patterns = ["*", "a:*", "a:b*", "a:?", "*:b", "a:b", "?:*", "a:*b", "a:b?", "a*:*"]
    covered = 0
    for broad in patterns:
        for narrow in patterns:
            if covers(broad, narrow, arn=False):
                covered += broad != narrow
                one, other = (glob(tokenise(p, wildcards=True, variables=False)) for p in (broad, narrow))
                assert all(one(text) for text in texts if other(text)), (broad, narrow)
    assert covered > 10


@pytest.mark.parametrize(
    ("pattern", "template", "expected"),
    [
        ("*", "arn:aws:ec2:*:*:subnet/*", True),
        ("arn:aws:ec2:us-east-1:123456789012:subnet/a", "*", True),
        ("arn:aws:ec2:us-east-1:123456789012:subnet/a", "arn:*:ec2:*:*:subnet/*", True),
        ("arn:aws:ec2:us-east-1:123456789012:vpc/a", "arn:*:ec2:*:*:subnet/*", False),
        ("arn:aws:ec2", "arn:*:ec2:*:*:subnet/*", True),
        ("arn:aws:iam", "arn:*:ec2:*:*:subnet/*", False),
        # an empty region or account is any, of ec2 alone
        ("arn:aws:ec2:::subnet/a", "arn:*:ec2:us-east-1:123456789012:subnet/*", True),
        ("arn:aws:ec2:us-east-1::subnet/a", "arn:*:ec2:us-east-1:123456789012:subnet/*", True),
        ("arn:aws:ec2:eu-west-1::subnet/a", "arn:*:ec2:us-east-1:123456789012:subnet/*", False),
        ("arn:aws:ec2:::vpc/a", "arn:*:ec2:us-east-1:123456789012:subnet/*", False),
        ("arn:aws:logs:::group/a", "arn:*:logs:us-east-1:123456789012:group/*", False),
        # a kind of resource whose facts give no ARN
        ("arn:aws:ec2:us-east-1:123456789012:subnet/a", "subnet", False),
    ],
)
def test_two_arns_meet_segment_by_segment(pattern: str, template: str, expected: bool) -> None:
    assert arns_may_meet(tokens(pattern), tokens(template)) is expected


A = "arn:aws:ec2:us-east-1:123456789012:subnet/a"


@pytest.mark.parametrize(
    ("broad", "narrow", "expected"),
    [
        ("*", A, True),
        (A, A, True),
        (A, "*", False),
        ("arn:*:*:*:*:*", "*", False),
        ("arn:aws:ec2:*:*:subnet/*", A, True),
        ("arn:aws:ec2:*:*:subnet/*", "arn:aws:ec2:us-*:*:subnet/a*", True),
        ("arn:aws:ec2:*:*:subnet/?", A, False),
        ("arn:aws:ec2:*:*:vpc/*", A, False),
        ("arn:aws:ec2:us-east-1:*:*", A, True),
        ("arn:aws:ec2:us-east-1:*:*", "arn:aws:ec2:us-*:123456789012:subnet/a", False),
        # one that lacks segments is about all that begins so
        ("arn:aws:ec2", A, True),
        (A, "arn:aws:ec2", False),
        ("arn:aws:ec2:us-east-1", "arn:aws:ec2:us-east-1:123456789012", True),
        ("arn:aws:ec2:us-east-1:*:*", "arn:aws:ec2:us-east-1", True),
        # the last segment may hold colons
        ("arn:aws:logs:*:*:group:*", "arn:aws:logs:us-east-1:123456789012:group:a:b", True),
        ("arn:aws:logs:*:*:group:*", "arn:aws:logs:us-east-1:123456789012:stream:a:b", False),
        # an empty region is no text that a pattern matches: for ec2 it means any
        ("arn:aws:ec2:us-*:123456789012:*", "arn:aws:ec2::123456789012:subnet/a", False),
        ("arn:aws:ec2:*:123456789012:*", "arn:aws:ec2::123456789012:subnet/a", True),
        ("arn:aws:ec2::123456789012:*", "arn:aws:ec2::123456789012:subnet/a", True),
    ],
)
def test_an_arn_covers_another_segment_by_segment(broad: str, narrow: str, expected: bool) -> None:
    assert covers(broad, narrow, arn=True) is expected
