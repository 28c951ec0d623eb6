"""Requests of the two query protocols: how each spells names, lists and maps, and what it does not know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from tests.protocol.sample import model

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.query_request import read_query_request
from hatchway.protocol.violations import Kind, Violation

if TYPE_CHECKING:
    from collections.abc import Container

    from hatchway.protocol.messages import Call

FORM = "application/x-www-form-urlencoded; charset=utf-8"


def ask(
    protocol: str,
    parameters: dict[str, str],
    *,
    method: str = "POST",
    query: str = "",
    content_type: str = FORM,
    body: bytes | None = None,
    offered: Container[str] | None = None,
) -> tuple[Call, list[Violation]]:
    whole = {"Action": "Do", "Version": "2026-11-24", **parameters}
    given = urlencode(whole).encode() if body is None else body
    return read_query_request(model(protocol), method, query, content_type, given, offered=offered)


def read(protocol: str, parameters: dict[str, str]) -> dict[str, Any]:
    call, violations = ask(protocol, parameters)
    assert violations == []
    return call.parameters


def found(protocol: str, parameters: dict[str, str]) -> list[Violation]:
    return ask(protocol, parameters)[1]


def refusal(
    protocol: str = "query", parameters: dict[str, str] | None = None, **request: Any
) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        ask(protocol, parameters or {}, **request)
    return refused.value


@pytest.mark.parametrize("protocol", ["ec2", "query"])
def test_scalars_are_read_as_their_types(protocol: str) -> None:
    assert read(protocol, {"Text": "a", "Flag": "true", "Count": "2", "When": "2026-11-24T00:00:00Z"}) == {
        "Text": "a",
        "Flag": True,
        "Count": 2,
        "When": datetime(2026, 11, 24, tzinfo=UTC),
    }


def test_ec2_spells_a_member_by_its_query_name_or_its_location_in_capitals() -> None:
    assert read("ec2", {"InQueries": "a", "SpelledOtherwise": "b"}) == {"Queried": "a", "Renamed": "b"}
    assert read("query", {"queried": "a", "spelledOtherwise": "b"}) == {"Queried": "a", "Renamed": "b"}


def test_items_of_a_list_are_numbered_and_come_in_the_order_of_their_numbers() -> None:
    assert read("ec2", {"Names.10": "c", "Names.2": "b", "Names.1": "a"}) == {"Names": ["a", "b", "c"]}
    assert read("query", {"Names.member.2": "b", "Names.member.1": "a"}) == {"Names": ["a", "b"]}


def test_an_empty_list_is_its_name_without_a_value() -> None:
    assert read("query", {"Names": ""}) == {"Names": []}


def test_structures_stand_within_lists_and_each_other() -> None:
    assert read("ec2", {"Item.Name": "a", "Items.1.Name": "b"}) == {
        "Item": {"Name": "a"},
        "Items": [{"Name": "b"}],
    }


@pytest.mark.parametrize("protocol", ["ec2", "query"])
def test_a_map_is_numbered_entries_of_key_and_value(protocol: str) -> None:
    key, value = ("Key", "Value") if protocol == "ec2" else ("key", "value")

    assert read(
        protocol,
        {
            f"Labels.entry.1.{key}": "a",
            f"Labels.entry.1.{value}": "x",
            f"Labels.entry.2.{key}": "b",
            f"Labels.entry.2.{value}": "y",
        },
    ) == {"Labels": {"a": "x", "b": "y"}}


@pytest.mark.parametrize(
    "entries",
    [
        {"1.key": "a"},
        {"1.value": "x"},
        {"0.key": "", "1.key": "a", "1.value": "x", "2.key": "a", "2.value": "y"},
    ],
    ids=["no value", "no key", "a key twice"],
)
def test_an_entry_has_a_key_of_its_own_and_a_value(entries: dict[str, str]) -> None:
    violations = found("query", {f"Labels.entry.{name}": text for name, text in entries.items()})

    assert "have a key of its own and a value" in {violation.demand for violation in violations}


@pytest.mark.parametrize(
    ("protocol", "name", "path"),
    [
        ("query", "Shape", ("Shape",)),
        ("query", "Text.1", ("Text", "1")),
        ("query", "Item", ("Item",)),
        ("query", "Item.Colour.Hue", ("Item", "Colour", "Hue")),
        ("query", "Names", ("Names",)),
        ("query", "Names.1", ("Names", "1")),
        ("query", "Names.member", ("Names", "member")),
        ("query", "Names.member.0", ("Names", "member", "0")),
        ("query", "Names.member.01", ("Names", "member", "01")),
        ("query", "Names.member.10000", ("Names", "member", "10000")),
        ("query", "Labels", ("Labels",)),
        ("query", "Labels.1", ("Labels", "1")),
        ("query", "Labels.entry", ("Labels", "entry")),
        ("ec2", "Names", ("Names",)),
        ("ec2", "Names.member.1", ("Names", "member", "1")),
        ("ec2", "Text.1.2", ("Text", "1", "2")),
    ],
)
def test_what_the_model_does_not_have_is_named_as_the_request_spells_it(
    protocol: str, name: str, path: tuple[str, ...]
) -> None:
    assert found(protocol, {name: "x"}) == [Violation(Kind.UNKNOWN, path)]


def test_a_list_with_a_value_of_its_own_beside_items_is_not_known() -> None:
    assert found("query", {"Names": "", "Names.member.1": "a"}) == [Violation(Kind.UNKNOWN, ("Names",))]


def test_in_an_entry_of_a_map_only_key_and_value_are_known() -> None:
    entry = {"Labels.entry.1.key": "a", "Labels.entry.1.value": "x"}

    assert found("query", {**entry, "Labels.entry.1": "y", "Labels.entry.1.colour": "red"}) == [
        Violation(Kind.UNKNOWN, ("Labels", "entry", "1", "colour")),
        Violation(Kind.UNKNOWN, ("Labels", "entry", "1")),
    ]


def test_a_value_of_another_type_is_unreadable_and_told() -> None:
    assert found("query", {"Count": "many"}) == [
        Violation(Kind.UNREADABLE, ("Count",), "be an integer", "many")
    ]


def test_a_secret_that_is_unreadable_is_not_told() -> None:
    assert found("query", {"Secret": "a\0"}) == [
        Violation(Kind.UNREADABLE, ("Secret",), "contain no control characters", None)
    ]


def test_an_operation_without_parameters_knows_none() -> None:
    call, violations = ask("query", {"Action": "Rest", "Text": "a"})

    assert (call.operation, call.parameters) == ("Rest", {})
    assert violations == [Violation(Kind.UNKNOWN, ("Text",))]


def test_parameters_may_stand_in_the_url_where_those_of_a_presigned_one_are_not_the_operations() -> None:
    query = "Action=Do&Version=2026-11-24&Text=a&X-Amz-Signature=0&X-Amz-Expires=60"
    call, violations = ask("query", {}, method="GET", query=query, content_type="", body=b"")

    assert (call.parameters, violations) == ({"Text": "a"}, [])


@pytest.mark.parametrize(
    ("request_", "code", "status"),
    [
        ({"method": "PUT"}, "MalformedHttpRequestException", 405),
        ({"content_type": "application/json"}, "MalformedHttpRequestException", 415),
        ({"body": b"\xff"}, "MalformedQueryString", None),
    ],
)
def test_what_is_no_form_is_refused(request_: dict[str, Any], code: str, status: int | None) -> None:
    error = refusal("query", {}, **request_)

    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("protocol", "parameters", "code", "message"),
    [
        ("ec2", {"Action": ""}, "MissingAction", "The request must contain the parameter Action"),
        ("ec2", {"Version": ""}, "MissingParameter", "The request must contain the parameter Version"),
        (
            "ec2",
            {"Version": "2014"},
            "NoSuchVersion",
            "The version 2014 of this service does not exist; use 2026-11-24.",
        ),
        ("ec2", {"Action": "Fly"}, "InvalidAction", "The action Fly is not valid for this web service."),
        ("query", {"Action": "Fly"}, "InvalidAction", "Could not find operation Fly for version 2026-11-24"),
        ("query", {"Version": "2014"}, "InvalidAction", "Could not find operation Do for version 2014"),
        (
            "query",
            {"Version": ""},
            "InvalidAction",
            "Could not find operation Do for version NO_VERSION_SPECIFIED",
        ),
    ],
)
def test_each_protocol_has_its_words_for_an_operation_or_version_that_there_is_not(
    protocol: str, parameters: dict[str, str], code: str, message: str
) -> None:
    error = refusal(protocol, parameters)

    assert (error.code, error.message) == (code, message)


def test_an_operation_that_is_not_offered_is_said_to_be_not_here() -> None:
    error = refusal("query", {}, offered={"Rest"})

    assert (error.code, error.status) == ("InvalidAction", 400)
    assert error.message == "Hatchway does not have the operation Do of sample."
    assert ask("query", {}, offered={"Do"})[0].operation == "Do"
