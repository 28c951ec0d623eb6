"""Texts with wildcards and variables, ARN patterns, and that no pattern is slow."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.iam.errors import UnreadableValue
from hatchway.iam.patterns import (
    Substituted,
    Tokens,
    Variable,
    Wildcard,
    arn_pattern,
    complete_arn,
    fold,
    glob,
    is_everything,
    literal_text,
    read_arn,
    resource_prefix,
    shorten,
    split_segments,
    substitute,
    tokenise,
    value_of,
    variables_of,
)

RUN, ONE = Wildcard.ANY_RUN, Wildcard.ANY_ONE


def tokens(pattern: str, *, variables: bool = True) -> Tokens:
    return tokenise(pattern, wildcards=True, variables=variables)


TEXTS = st.text(alphabet="ab\n*?", max_size=12)


@given(pattern=st.text(alphabet="ab*?", max_size=10), text=TEXTS)
def test_a_glob_matches_what_its_regular_expression_matches(pattern: str, text: str) -> None:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    matches = glob(tokenise(pattern, wildcards=True, variables=False))
    assert matches(text) is (re.fullmatch(expression, text, re.DOTALL) is not None)


@given(
    pattern=st.lists(st.sampled_from(["a" * 9, "ab" * 5, "b", "?", "*"]), max_size=8).map("".join),
    text=st.lists(st.sampled_from(["a" * 9, "ab" * 5, "a", "b"]), max_size=8).map("".join),
)
def test_long_pieces_match_likewise(pattern: str, text: str) -> None:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert glob(tokens(pattern))(text) is (re.fullmatch(expression, text, re.DOTALL) is not None)


def seconds(pattern: str, text: str) -> float:
    matches = glob(tokenise(pattern, wildcards=True, variables=False))
    rounds = []
    for _ in range(3):
        start = time.thread_time()
        assert not matches(text)
        rounds.append(time.thread_time() - start)
    return min(rounds)


@pytest.mark.parametrize("piece", ["*a", "*a?", "*?", "*aab", "?*a*?"])
def test_no_pattern_of_wildcards_makes_matching_slow(piece: str) -> None:
    """A backtracking matcher never ends on these. Eight times the text may take some eight times as long.

    The pattern asks for a last character that the text has not, after every way to match the rest.
    """
    pattern = piece * 400 + "b"
    short, long = seconds(pattern, "a" * 4_000), seconds(pattern, "a" * 32_000)
    assert long < 8 * 8 * max(short, 1e-4)


def test_a_pattern_takes_its_own_time_rather_than_that_of_the_text() -> None:
    """A gateway decides on its event loop, and a policy has room for a hundred and fifty patterns."""
    matches = glob(tokenise("?*" * 6 + "b", wildcards=True, variables=False))

    def seconds(length: int) -> float:
        text, rounds = "a" * length, []
        for _ in range(5):
            start = time.thread_time()
            for _ in range(100):
                assert not matches(text)
            rounds.append(time.thread_time() - start)
        return min(rounds)

    assert seconds(1024) < 6 * seconds(64)


def test_a_long_piece_is_not_compared_anew_at_each_place_of_the_text() -> None:
    """As `str.find` would: half the text's length at half the text's places."""

    def seconds_of(half: int) -> float:
        matches, text = glob(tokens("*" + "a" * half + "b" + "a" * half + "*")), "a" * half * 4

        def once() -> float:
            began = time.thread_time()
            for _ in range(20):
                assert not matches(text)
            return time.thread_time() - began

        return min(once() for _ in range(5))

    assert seconds_of(512) < 10 * seconds_of(128)


def test_where_characters_stand_in_a_text_is_worked_out_once_for_all_patterns() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    patterns = [glob(tokens("*" + "?".join(letters[at:] + letters[:at]) + "?!*")) for at in range(26)]

    def seconds_on(texts: list[str]) -> float:
        began = time.thread_time()
        for matches, text in zip(patterns * 5, texts, strict=True):
            assert not matches(text)
        return time.thread_time() - began

    def texts(numbers: range) -> list[str]:
        return [f"{number:05}" + "-".join(letters) * 18 for number in numbers]

    afresh = min(seconds_on(texts(range(start, start + 130))) for start in (0, 200, 400))
    assert min(seconds_on(texts(range(1)) * 130) for _ in range(3)) < afresh / 2


@given(pattern=st.text(alphabet="aß*?\U0001f600", max_size=8), text=st.text(alphabet="aß\U0001f600b"))
def test_texts_beyond_ascii_match_likewise(pattern: str, text: str) -> None:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    matches = glob(tokenise(pattern, wildcards=True, variables=False))
    assert matches(text) is (re.fullmatch(expression, text, re.DOTALL) is not None)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", ()),
        ("abc", ("abc",)),
        ("*", (RUN,)),
        ("a*b?", ("a", RUN, "b", ONE)),
        ("**", (RUN, RUN)),
        ("${aws:UserName}", (Variable("aws:username", None),)),
        ("a${ x:Y }b", ("a", Variable("x:y", None), "b")),
        ("${x:Y, 'Z z'}", (Variable("x:y", "Z z"),)),
        ("${x:y,''}", (Variable("x:y", ""),)),
        ("${x:y , '}'  }", (Variable("x:y", "}"),)),
        ("${*}${?}${$}", (Substituted("*"), Substituted("?"), Substituted("$"))),
        ("$x{y}$", ("$x{y}$",)),
    ],
)
def test_a_text_is_read_as_literals_wildcards_and_variables(text: str, read: Tokens) -> None:
    found = tokens(text)
    assert found == read
    assert [type(token) for token in found] == [type(token) for token in read]


def test_what_is_not_asked_for_is_literal() -> None:
    assert tokenise("a*${b}?", wildcards=False, variables=False) == ("a*${b}?",)
    assert tokenise("a*${b}?", wildcards=True, variables=False) == ("a", RUN, "${b}", ONE)
    assert tokenise("a*${b}?", wildcards=False, variables=True) == ("a*", Variable("b", None), "?")


@pytest.mark.parametrize("text", ["${", "${}", "${ }", "${a", "${a,b}", "${a,'b}", "${a{b}", "x${a'}"])
def test_what_begins_no_variable_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(UnreadableValue) as refusal:
        tokens(text)
    assert str(refusal.value) == f"'{text.removeprefix('x')}' is not a policy variable"


def test_variables_are_found_and_stand_for_the_requests_values() -> None:
    read = tokens("a${x:one}*${x:two, 'd'}${$}")
    one, two = variables_of(read)
    assert (one, two) == (Variable("x:one", None), Variable("x:two", "d"))
    assert substitute(read, {"x:one": "1*"}) == ("a", "1*", RUN, "d", "$")
    assert substitute(read, {"x:two": "2"}) is None
    values = {"x:two": ("b", "c")}
    assert value_of(one, values) is None
    assert value_of(two, values) is None
    assert value_of(two, {}) == "d"
    assert value_of(two, {"x:two": ""}) == ""
    (token,) = substitute((one,), {"x:one": "*"}) or ()
    assert type(token) is Substituted


def test_a_literal_is_the_text_of_its_tokens() -> None:
    assert literal_text(("a", Substituted("*"), "b")) == "a*b"
    assert literal_text(()) == ""
    assert literal_text(("a", RUN, "b")) == "ab"


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ABC", "abc"),
        ("ÄÖ", "äö"),
        ("Straße", "straße"),
        ("STRAẞE", "straße"),
        ("\u212a", "k"),
        ("Σς", "\u03c3\u03c3"),
        # what full folding makes longer, and its lower case too
        ("\u0130", "\u0130"),
        ("ﬁ", "ﬁ"),
    ],
)
def test_folding_keeps_the_length(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_long_text_is_cut_for_a_message() -> None:
    assert shorten("x" * 80) == "x" * 80
    assert shorten("x" * 81) == "x" * 80 + "…"
    assert shorten("abc", limit=2) == "ab…"


GLOBS = [
    ("", ["", "-a"]),
    ("a", ["a", "-", "-b", "-aa"]),
    ("*", ["", "a", "ab"]),
    ("**", ["", "a"]),
    ("a*", ["a", "ab", "-", "-ba"]),
    ("*a", ["a", "ba", "-", "-ab"]),
    ("ab*bc", ["abbc", "abxbc", "-abc", "-abb", "-bbc"]),
    ("a*b*c", ["abc", "axbxc", "abbcc", "-ac", "-acb", "-bac", "-abx", "-xabc"]),
    ("*a*", ["a", "bab", "-", "-b"]),
    ("*ab*ab*", ["abab", "xabxabx", "-ab", "-aab", "-xxxab"]),
    ("ab*b*ba", ["abbba", "-abba", "-aba"]),
    ("?", ["a", "-", "-ab"]),
    ("a?c", ["abc", "-ac", "-abbc", "-abd", "-bbc"]),
    ("?*", ["a", "ab", "-"]),
    ("*?b", ["ab", "aab", "-b", "-ba"]),
    ("a*?", ["ab", "abb", "-a"]),
    ("?a*b?", ["xabx", "xaabbx", "-xab", "-abx", "-xabxx"]),
    ("*?*", ["a", "ab", "-"]),
    ("?abc", ["xabc", "-xabd", "-xaxc", "-abc"]),
    ("*a*?b", ["aaab", "axxb", "-ab"]),
    ("*c?", ["cb", "acb", "-ab", "-c"]),
    ("ä?*", ["äb", "äöü", "-ä", "-ab"]),
    ("?ä", ["aä", "-ä", "-aa", "-äa"]),
    ("??ä", ["aaä", "-aäa"]),
    ("???ä", ["aaaä", "-aäaa"]),
]


@pytest.mark.parametrize(("pattern", "texts"), GLOBS, ids=[pattern for pattern, _ in GLOBS])
def test_a_glob_matches_the_whole_text(pattern: str, texts: list[str]) -> None:
    matches = glob(tokens(pattern))
    for text in texts:
        assert matches(text.removeprefix("-")) is not text.startswith("-"), text


def test_what_was_substituted_is_literal_in_a_glob() -> None:
    for pattern in ("${x}?", "?${x}", "a${x}*", "${x}"):
        resolved = substitute(tokens(pattern), {"x": "*"}) or ()
        matches = glob(resolved)
        text = pattern.replace("${x}", "*").replace("?", "b")
        assert matches(text)
        assert not matches(text.replace("*", "c", 1))


def test_an_arn_has_six_segments_and_the_last_may_hold_colons() -> None:
    text = "arn:aws:logs:r:a:group:x:y"
    assert read_arn(text) == (text, ("arn", "aws", "logs", "r", "a", "group:x:y"))
    for other in ("*", "", "arn:aws:logs:r:a", "urn:aws:logs:r:a:b", "ARN:aws:logs:r:a:b"):
        assert read_arn(other) == (other, ())


def test_only_a_lone_asterisk_is_everything() -> None:
    assert is_everything(tokens("*"))
    for other in ("", "**", "?", "a*", "${*}"):
        assert not is_everything(tokens(other))


def test_a_pattern_is_split_at_its_own_colons_alone() -> None:
    assert split_segments(tokens("arn:aws:ec?:*:${x}:a:b*")) == (
        ("arn",),
        ("aws",),
        ("ec", ONE),
        (RUN,),
        (Variable("x", None),),
        ("a:b", RUN),
    )
    resolved = substitute(tokens("arn:aws:s3:::${x}y"), {"x": "1:2"}) or ()
    assert split_segments(resolved) == (("arn",), ("aws",), ("s3",), (), (), ("1:2", "y"))
    empty = substitute(tokens("arn:aws:s3:${x}::y"), {"x": ""}) or ()
    assert split_segments(empty)[3] == ("",)
    for other in ("*", "arn:aws:s3::x", "urn:aws:s3:::x", "*:aws:s3:::x", "${x}"):
        with pytest.raises(UnreadableValue, match=r"^is not an ARN$"):
            split_segments(tokens(other))


@pytest.mark.parametrize(
    ("pattern", "completed"),
    [
        ("*", "*"),
        ("arn:aws:ec2:r:a:x", "arn:aws:ec2:r:a:x"),
        ("arn:aws:ec2::a:", "arn:aws:ec2::a:"),
        ("arn:aws:ec2:r:a", "arn:aws:ec2:r:a:*"),
        ("arn:aws:ec2", "arn:aws:ec2:*:*:*"),
        ("arn:aws", "arn:aws:*:*:*:*"),
        ("arn:aws:ec*", "arn:aws:ec*:*:*:*"),
        ("arn:aws:${x}", "arn:aws:${x}:*:*:*"),
    ],
)
def test_an_arn_that_lacks_segments_is_completed(pattern: str, completed: str) -> None:
    found = complete_arn(tokens(pattern))
    assert split_segments(found) == split_segments(tokens(completed)) if ":" in pattern else found == (RUN,)
    if pattern == completed:
        assert found == tokens(pattern)


@pytest.mark.parametrize(
    "pattern", ["", "arn", "arn:", "arn:aws:", "arn:aws:s3:", "arn::s3", "urn:aws", "*:aws"]
)
def test_what_is_no_arn_or_has_an_empty_segment_is_not_completed(pattern: str) -> None:
    with pytest.raises(UnreadableValue, match=r"^is not an ARN$"):
        complete_arn(tokens(pattern))


SUBNET = "arn:aws:ec2:r:1:subnet/a"


@pytest.mark.parametrize(
    ("pattern", "matched", "other"),
    [
        ("*", [SUBNET, "*", "x"], []),
        (SUBNET, [SUBNET], ["arn:aws:ec2:r:1:subnet/b", "*"]),
        ("arn:aws:ec2:r:1:subnet/*", [SUBNET, "arn:aws:ec2:r:1:subnet/"], ["arn:aws:ec2:r:1:vpc/a", "*"]),
        ("arn:aws:ec2:r:1:*", [SUBNET], ["arn:aws:ec2:r:2:subnet/a"]),
        ("arn:aws:ec2:r:1:*/a", [SUBNET], ["arn:aws:ec2:r:1:subnet/b", "arn:aws:ec2:s:1:subnet/a"]),
        ("arn:aws:ec2:r:1:s*t/*", [SUBNET], ["arn:aws:ec2:r:1:s/a", "arn:aws:ec2:s:1:subnet/a"]),
        ("arn:aws:ec2:r:1:subnet/?", [SUBNET], ["arn:aws:ec2:r:1:subnet/ab", "arn:aws:ec2:r:1:subnet/"]),
        ("arn:aws:ec2:r:1:s*/?", [SUBNET], ["arn:aws:ec2:r:1:s/", "arn:aws:iam:r:1:s/a"]),
        ("arn:*:ec2:?:1:subnet/a", [SUBNET], ["arn:aws:ec2:rr:1:subnet/a", "arn:aws:iam:r:1:subnet/a", "*"]),
        ("arn:aws:ec*:r:1:*", [SUBNET], ["arn:aws:iam:r:1:subnet/a", "*"]),
        ("arn:aws:ec2:::subnet/a", ["arn:aws:ec2:::subnet/a"], [SUBNET]),
    ],
)
def test_an_arn_pattern_matches_segment_by_segment(
    pattern: str, matched: list[str], other: list[str]
) -> None:
    matches = arn_pattern(tokens(pattern))
    assert [text for text in [*matched, *other] if matches(read_arn(text))] == matched
    assert [text for text in [*matched, *other] if matches(read_arn(text), {})] == matched


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("arn:aws:ec2:::subnet/a", True),
        ("arn:aws:ec2:r::subnet/*", True),
        ("arn:aws:ec2::1:subnet/*", True),
        ("arn:aws:ec2::2:subnet/*", False),
        ("arn:aws:ec2:s::subnet/*", False),
        ("arn:aws:ec2:::vpc/*", False),
        ("arn:aws:ec?:::subnet/*", False),
    ],
)
def test_an_empty_scope_of_ec2_is_any_where_that_is_asked_for(pattern: str, expected: bool) -> None:
    assert arn_pattern(tokens(pattern), empty_ec2_scope_is_any=True)(read_arn(SUBNET)) is expected
    assert not arn_pattern(tokens(pattern))(read_arn(SUBNET))
    other = "arn:aws:s3:r:1:x"
    assert not arn_pattern(tokens("arn:aws:s3:::x"), empty_ec2_scope_is_any=True)(read_arn(other))


def test_a_value_with_a_colon_in_the_scope_matches_nothing() -> None:
    resolved = substitute(tokens("arn:aws:iam::${x}:user/a"), {"x": "1:2"}) or ()
    matches = arn_pattern(resolved)
    for text in ("arn:aws:iam::1:2:user/a", "arn:aws:iam::1:user/a"):
        assert matches(read_arn(text)) is False
        assert matches(read_arn(text), {}) is False


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("*", ""),
        (SUBNET, SUBNET),
        ("arn:aws:ec2:r:1:subnet/*", "arn:aws:ec2:r:1:subnet/"),
        ("arn:aws:ec2:r:1:${x}/y", "arn:aws:ec2:r:1:"),
        ("arn:*:ec2:r:1:x", "arn:"),
        ("arn:aws:ec*", "arn:aws:ec"),
        # an empty region or account of ec2 is any
        ("arn:aws:ec2:::subnet/*", "arn:aws:ec2:"),
        ("arn:aws-cn:ec2:r::subnet/*", "arn:aws-cn:ec2:"),
        ("arn:aws:ec2::1:subnet/*", "arn:aws:ec2:"),
        ("arn:aws:ec2:::subnet/a:b", "arn:aws:ec2:"),
        ("arn:aws:ec2:*:1:x", "arn:aws:ec2:"),
        ("arn:aws:ec2:r:*", "arn:aws:ec2:"),
        ("arn:aws:ec2:r:1*", "arn:aws:ec2:r:1"),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/"),
        ("arn:aws:ec2-x:::y", "arn:aws:ec2-x:::y"),
    ],
)
def test_whatever_a_pattern_matches_begins_with_its_prefix(pattern: str, prefix: str) -> None:
    assert resource_prefix(tokens(pattern)) == prefix
