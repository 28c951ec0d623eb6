"""Policy documents of a file: in place, as text, or in files of their own."""

import json

import pytest
from tests.fleet.cases import Case, check_refused, refused

from hatchway.fleet.policy_documents import Reading, canonical_document, no_files, same_document
from hatchway.iam import PolicyKind

ALLOW = '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'


@pytest.mark.parametrize("case", refused("policy_documents"))
def test_what_is_no_policy_is_refused_with_its_place(case: Case) -> None:
    check_refused(case)


class Files:
    """Files that count how often each was read."""

    def __init__(self, **contents: bytes | Exception) -> None:
        self.contents = contents
        self.read: list[str] = []

    def __call__(self, path: str) -> bytes:
        self.read.append(path)
        content = self.contents[path]
        if isinstance(content, Exception):
            raise content
        return content


def document(reading: Reading, value: object, quota: int = 6144) -> str | None:
    return reading.document(value, "here", quota=quota, kind=PolicyKind.IDENTITY)


def test_a_document_is_read_from_its_place_its_text_or_its_file() -> None:
    reading = Reading(Files(p=ALLOW.encode(), bom=b"\xef\xbb\xbf" + ALLOW.encode()))
    assert document(reading, f" {ALLOW}") == f" {ALLOW}"
    assert document(reading, "p") == document(reading, "bom") == ALLOW
    in_place = document(reading, json.loads(ALLOW))
    assert in_place is not None
    assert same_document(in_place, ALLOW)
    assert [found.place for found in reading.documents] == ["here", "here (p)", "here (bom)", "here"]
    assert len(reading) == 0


def test_a_file_is_read_once_however_many_share_it() -> None:
    files = Files(p=ALLOW.encode())
    reading = Reading(files)
    assert [document(reading, "p"), document(reading, "p")] == [ALLOW, ALLOW]
    assert files.read == ["p"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (7, "here: 7 is neither a policy document nor the path of one"),
        ("  ", "here: '  ' is neither a policy document nor the path of one"),
        ("gone", "here (gone): cannot be read: is gone"),
        ("away", "here (away): cannot be read: No such file"),
        ("nul", "here (nul): cannot be read: is not the path of a file"),
        ("binary", "here (binary): cannot be read: it is not UTF-8 text (byte 0)"),
        ("text", "here (text): line 1 column 1: is not JSON: expecting value"),
        (ALLOW.replace("ec2", "x").replace("*", "x" * 7000, 1), None),
        ({"Statement": {}}, "here: Statement[0]: has no Effect"),
    ],
)
def test_what_cannot_be_read_or_is_no_policy_is_a_problem(value: object, problem: str | None) -> None:
    reading = Reading(
        Files(
            gone=OSError("is gone"),
            away=FileNotFoundError(2, "No such file"),
            nul=ValueError("embedded null byte"),
            binary=b"\xff",
            text=b"password",
        )
    )
    assert document(reading, value) is None
    (found,) = map(str, reading.found)
    assert found == problem if problem else "the quota is 6144" in found
    assert reading.documents == []


def test_without_a_directory_a_path_leads_nowhere() -> None:
    with pytest.raises(OSError, match="put the document itself in the fleet file"):
        no_files("p.json")


def test_documents_say_the_same_whatever_their_layout_and_however_they_write_a_number() -> None:
    assert same_document(ALLOW, ALLOW)
    assert same_document('{"a": 1, "b": [2.50]}', '{ "b":["2.50"],"a":"1" }')
    assert not same_document('{"a": 1}', '{"a": 2}')
    assert canonical_document('{"b": 1, "a": 2}') == '{"a": "2", "b": "1"}'
