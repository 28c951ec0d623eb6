"""Requests of the JSON protocol: documents read along the model."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.protocol.sample import model

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.json_request import is_target_prefix, read_json_request
from hatchway.protocol.violations import Kind, Naming, Violation

if TYPE_CHECKING:
    from hatchway.protocol.messages import Call

NAMING = Naming(member=lambda _, name: name.lower(), item=lambda index: f"{index}.member")


def ask(document: object, **changes: Any) -> tuple[Call, list[Violation]]:
    request: dict[str, Any] = {
        "method": "POST",
        "content_type": "application/x-amz-json-1.1",
        "target": "Sample_20261124.Do",
        "body": document if isinstance(document, bytes) else json.dumps(document).encode(),
        "offered": None,
        **changes,
    }
    return read_json_request(model("json"), NAMING, **request)


def read(document: object) -> dict[str, Any]:
    call, violations = ask(document)
    assert violations == []
    return call.parameters


def refusal(document: object, **changes: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        ask(document, **changes)
    return refused.value


def test_a_document_is_read_as_its_types() -> None:
    assert read(
        {
            "Text": "é",
            "spelledOtherwise": "a",
            "Flag": False,
            "Count": 2,
            "Long": 1 << 40,
            "Float": 1,
            "Double": 0.5,
            "When": 1795501043.5,
            "Data": "AAE=",
            "Names": ["a", "b"],
            "Labels": {"ab": "x"},
            "Item": {"Name": "n"},
        }
    ) == {
        "Text": "é",
        "Renamed": "a",
        "Flag": False,
        "Count": 2,
        "Long": 1 << 40,
        "Float": 1.0,
        "Double": 0.5,
        "When": datetime(2026, 11, 24, 6, 17, 23, 500_000, tzinfo=UTC),
        "Data": b"\0\1",
        "Names": ["a", "b"],
        "Labels": {"ab": "x"},
        "Item": {"Name": "n"},
    }


def test_no_body_is_an_empty_document_and_a_null_is_a_member_not_given() -> None:
    assert read(b"") == {}
    assert read({"Text": None}) == {}


@pytest.mark.parametrize(
    ("document", "path", "demand"),
    [
        ({"Text": 1}, ("text",), "be a string"),
        ({"Text": "\0"}, ("text",), "contain no control characters"),
        ({"Flag": "true"}, ("flag",), "be true or false"),
        ({"Number": "1"}, ("number",), "be an integer"),
        ({"Number": True}, ("number",), "be an integer"),
        ({"Number": 1.0}, ("number",), "be an integer"),
        ({"Number": 1 << 31}, ("number",), "be an integer of 32 bits"),
        ({"Long": "1"}, ("long",), "be an integer"),
        ({"Long": True}, ("long",), "be an integer"),
        ({"Long": 1 << 63}, ("long",), "be an integer of 64 bits"),
        ({"Float": "1"}, ("float",), "be a number"),
        ({"Float": True}, ("float",), "be a number"),
        ({"Double": 10**400}, ("double",), "be a number"),
        ({"When": "today"}, ("when",), "be a date and time, in seconds since 1970"),
        ({"When": 1e300}, ("when",), "be a date and time, in seconds since 1970"),
        ({"Data": 1}, ("data",), "be a string"),
        ({"Data": "A"}, ("data",), "be base64"),
        ({"Names": "a"}, ("names",), "be a list"),
        ({"Names": ["a", 1]}, ("names", "2.member"), "be a string"),
        ({"Labels": ["a"]}, ("labels",), "be an object"),
        ({"Labels": {"ab": 1}}, ("labels", "ab"), "be a string"),
        ({"Item": "a"}, ("item",), "be an object"),
        ({"Items": [{"Name": 1}]}, ("items", "1.member", "name"), "be a string"),
    ],
)
def test_what_is_of_another_type_is_unreadable_where_it_stands(
    document: dict[str, Any], path: tuple[str, ...], demand: str
) -> None:
    assert ask(document)[1] == [Violation(Kind.UNREADABLE, path, demand)]


def test_what_the_model_does_not_have_is_named() -> None:
    assert ask({"Shape": 1, "Item": {"Name": "n", "\0Colour": 2}})[1] == [
        Violation(Kind.UNKNOWN, ("item", "Colour")),
        Violation(Kind.UNKNOWN, ("Shape",)),
    ]


def test_an_operation_without_parameters_knows_none() -> None:
    call, violations = ask({"Text": "a"}, target="Sample_20261124.Rest")

    assert (call.operation, call.parameters) == ("Rest", {})
    assert violations == [Violation(Kind.UNKNOWN, ("Text",))]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"Text": "a", "Text": "b"}',
        b'{"Float": NaN}',
        b'{"Float": -Infinity}',
        b"[" * 50_000,
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    error = refusal(body)

    assert (error.code, error.message) == ("SerializationException", "The body is not a JSON document.")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"a"'])
def test_a_document_is_an_object(body: bytes) -> None:
    assert refusal(body).message == "The body is not a JSON object."


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"method": "GET"}, "MalformedHttpRequestException", 405),
        ({"target": ""}, "UnknownOperationException", None),
        ({"target": "Do"}, "UnknownOperationException", None),
        ({"target": "Other.Do"}, "UnknownOperationException", None),
        ({"target": "Sample_20261124.Fly"}, "UnknownOperationException", None),
        ({"offered": {"Rest"}}, "UnknownOperationException", 400),
        ({"content_type": "application/json"}, "UnsupportedMediaTypeException", 415),
        ({"content_type": ""}, "UnsupportedMediaTypeException", 415),
    ],
)
def test_a_request_of_another_kind_is_refused(changes: dict[str, Any], code: str, status: int | None) -> None:
    error = refusal({}, **changes)

    assert (error.code, error.status) == (code, status)


def test_a_media_type_may_have_parameters_and_an_operation_be_offered() -> None:
    call, _ = ask({}, content_type="Application/X-Amz-JSON-1.1; charset=utf-8", offered={"Do"})

    assert call.operation == "Do"


@pytest.mark.parametrize("prefix", ["com.example.v1.Sample_1", "Sample_1"])
def test_a_service_s_prefix_may_come_without_the_package_before_it(prefix: str) -> None:
    packaged = model("json")
    packaged.metadata["targetPrefix"] = "com.example.v1.Sample_1"

    assert is_target_prefix(packaged, prefix)


@pytest.mark.parametrize("prefix", ["", "com.example.v1", "v1.Sample_1", "1"])
def test_no_other_part_of_it_will_do(prefix: str) -> None:
    packaged = model("json")
    packaged.metadata["targetPrefix"] = "com.example.v1.Sample_1"

    assert not is_target_prefix(packaged, prefix)
    assert not is_target_prefix(model("query"), prefix)
