"""The text of policy documents: what is read of it, and what of it is refused before it is a policy."""

import json
import tracemalloc
from types import MappingProxyType
from typing import Any

import pytest

from hatchway.iam import MalformedPolicy, parse_policy
from hatchway.iam.document_text import MAX_DOCUMENT_CHARACTERS, load, plain

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}


REPEATED = {
    '{"Statement": [], "Statement": []}': "document: has the key 'Statement' more than once",
    '{"Statement": {"Effect": "Deny", "Effect": "Allow"}}': (
        "Statement[0]: has the key 'Effect' more than once"
    ),
    '{"Statement": [{}, {"Condition": {"Bool": {"a:b": "true", "a:b": "false"}}}]}': (
        "Statement[1].Condition.Bool: has the key 'a:b' more than once"
    ),
    '{"a\\nb": 1, "a\\nb": 2}': "document: has the key 'a\\nb' more than once",
    '{"ä": 1, "ä": 2}': "document: has the key 'ä' more than once",
    '{"": {"c": 1, "c": 2}}': "document: has the key 'c' more than once",
    '{"a":' * 600 + '{"c": 1, "c": 2}' + "}" * 600: (("a." * 500) + "…: has the key 'c' more than once"),
    '{"a": 1, "' + "b" * 300 + '": {"c": 1, "c": 2}}': ("b" * 80 + "…: has the key 'c' more than once"),
}


@pytest.mark.parametrize(("text", "message"), REPEATED.items())
def test_a_key_given_twice_is_refused_and_not_guessed(text: str, message: str) -> None:
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(text)
    assert str(refusal.value) == message


NOT_JSON = {
    "": "line 1 column 1: is not JSON: expecting value",
    '{\n  "Statement": [,]}': "line 2 column 17: is not JSON: expecting value",
    "{'Statement': []}": "line 1 column 2: is not JSON: expecting property name enclosed in double quotes",
    '{"Statement": NaN}': "document: has NaN, which is not JSON",
    '{"Statement": "\t"}': "line 1 column 16: is not JSON: invalid control character at",
}


@pytest.mark.parametrize(("text", "message"), NOT_JSON.items())
def test_what_is_no_json_is_refused_with_line_and_column(text: str, message: str) -> None:
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(text)
    assert str(refusal.value) == message


def test_bytes_must_be_utf8() -> None:
    with pytest.raises(MalformedPolicy, match=r"^document: is not UTF-8 text \(byte 14\)$"):
        parse_policy(b'{"Statement": \xff}')
    with_mark = b"\xef\xbb\xbf" + json.dumps({"Statement": GOOD}).encode()
    assert len(parse_policy(with_mark).statements) == 1


def test_a_number_is_kept_as_it_is_written() -> None:
    content = load('{"a": [1, 2.50e0, "3", true, null]}')
    assert content == {"a": ["1", "2.50e0", "3", True, None]}
    assert [type(each) is str for each in content["a"]] == [False, False, True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 100_000,
        '{"Statement":' + "[" * 900 + "]" * 900 + "}",
        '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": ' + '{"Bool":' * 500,
    ],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(MalformedPolicy):
        parse_policy(text)


def test_a_list_deep_in_a_document_takes_no_more_memory_than_another_one() -> None:
    depth, name = 600, "a" * 40
    deep = f'{{"{name}":' * depth + f"[{'0,' * 50_000}0]" + "}" * depth
    tracemalloc.start()
    try:
        with pytest.raises(MalformedPolicy):
            parse_policy(deep)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Each value's place written out is 24 KB of it.
    assert most < 500 * len(deep)


def test_text_beyond_the_bound_is_refused_unread() -> None:
    with pytest.raises(
        MalformedPolicy, match=rf"^document: has more than {MAX_DOCUMENT_CHARACTERS} characters$"
    ):
        parse_policy(" " * 1_048_576)
    text = json.dumps({"Statement": GOOD})
    assert parse_policy(text.ljust(MAX_DOCUMENT_CHARACTERS)).statements


def test_nesting_beyond_what_json_reads_is_called_that() -> None:
    with pytest.raises(MalformedPolicy, match=r"^document: is nested too deeply$"):
        parse_policy("[" * 200_000)


def test_a_mapping_of_any_kind_becomes_one_that_json_takes() -> None:
    assert plain({"a": (1, MappingProxyType({"b": [2, "c"]}))}) == {"a": [1, {"b": [2, "c"]}]}
