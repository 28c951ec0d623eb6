"""Requests that no client would send: each is refused with a `ServiceError`, soon and in little memory."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatchway.protocol import LARGEST_REQUEST, Call, ServiceError, load_service

FORM = "application/x-www-form-urlencoded"
JSON = "application/x-amz-json-1.1"
TARGET = {"x-amz-target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"}


def form(body: bytes, service: str = "ec2", query: str = "") -> Call:
    return load_service(service).parse("POST", "/", query, FORM, {}, body)


def document(body: bytes) -> Call:
    return load_service("cloudtrail").parse("POST", "/", "", JSON, TARGET, body)


VPCS = b"Action=DescribeVpcs&Version=2016-11-15"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (VPCS + b"&" + b"a" * LARGEST_REQUEST, "RequestEntityTooLarge"),
        (VPCS + b"".join(b"&VpcId.%d=v" % n for n in range(1, 5001)), "MalformedQueryString"),
        (VPCS + b"&VpcId.1=a&VpcId.1=b", "InvalidQueryParameter"),
        (VPCS + b"&VpcId.1=a&VpcId%2E1=a", "InvalidQueryParameter"),
        (VPCS + b"&Action=DescribeSubnets", "InvalidQueryParameter"),
        (VPCS + b"&" + b"a." * 400_000 + b"=1", "InvalidQueryParameter"),
        (VPCS + b"&VpcId.1=%FF", "MalformedQueryString"),
        (VPCS + b"&VpcId.1=\xff", "MalformedQueryString"),
        (VPCS + b"&VpcId." + b"9" * 100_000 + b"=1", "UnknownParameter"),
        (VPCS + b"&MaxResults=" + b"9" * 100_000, "InvalidParameterValue"),
        (VPCS + b"&MaxResults=%D9%A1%D9%A0", "InvalidParameterValue"),
        (VPCS + b"&=", "UnknownParameter"),
        (VPCS + b"&.=", "UnknownParameter"),
        (VPCS + b"&VpcId.=a", "UnknownParameter"),
        (VPCS + b"&VpcId.%D9%A1=a", "UnknownParameter"),
        (b"", "MissingAction"),
    ],
)
def test_a_bad_form_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        form(body)

    assert refused.value.code == code
    assert len(refused.value.message) <= 2048


def test_a_document_has_no_room_for_more_names_than_are_soon_looked_at() -> None:
    for count, code in ((5_000, "ValidationException"), (8_000, "RequestEntityTooLarge")):
        with pytest.raises(ServiceError) as refused:
            document(json.dumps(dict.fromkeys(map(str, range(count)), 1), separators=(",", ":")).encode())

        assert refused.value.code == code
        assert len(refused.value.message) <= 2048


def test_a_parameter_may_not_be_both_in_the_url_and_in_the_body() -> None:
    with pytest.raises(ServiceError) as refused:
        form(VPCS, query="Action=DeleteVpc")

    assert refused.value.code == "InvalidQueryParameter"


def test_many_lists_of_high_numbers_take_no_room() -> None:
    body = VPCS + b"".join(b"&Filter.%d.Value.9999=v" % n for n in range(5001, 9000))
    load_service("ec2")
    tracemalloc.start()
    try:
        call = form(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(call.parameters["Filters"]) == 3999
    assert peak < 20 << 20


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"1",
        b"{",
        b"\xff",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"MaxResults": 1, "MaxResults": 2}',
        b'{"MaxResults": NaN}',
        b'{"MaxResults": Infinity}',
        b'{"MaxResults": 1.5}',
        b'{"MaxResults": true}',
        b'{"MaxResults": ' + b"9" * 10_000 + b"}",
        b'{"MaxResults": 2147483648}',
        b'{"StartTime": 1e400}',
        b'{"StartTime": -1e300}',
        b'{"StartTime": 9' + b"0" * 400 + b"}",
        b'{"NextToken": "\\ud800"}',
        b'{"NextToken": "\\u0000"}',
        b'{"LookupAttributes": {}}',
        b'{"LookupAttributes": [null]}',
        b'{"LookupAttributes": [[]]}',
    ],
)
def test_a_bad_document_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as refused:
        document(body)

    assert refused.value.code == "SerializationException"
    assert len(refused.value.message) <= 2048


@pytest.mark.parametrize(
    ("service", "change", "status"),
    [
        ("ec2", {"method": "DELETE"}, 405),
        ("ec2", {"path": "/other"}, 404),
        ("ec2", {"content_type": "application/json"}, 415),
        ("cloudtrail", {"method": "GET"}, 405),
        ("cloudtrail", {"path": "//"}, 404),
        ("cloudtrail", {"content_type": "application/x-amz-json-1.0"}, 415),
        ("cloudtrail", {"content_type": ""}, 415),
        ("cloudtrail", {"headers": {}}, None),
        ("cloudtrail", {"headers": {"x-amz-target": "LookupEvents"}}, None),
        ("cloudtrail", {"headers": {"x-amz-target": "Other.LookupEvents"}}, None),
        ("cloudtrail", {"headers": {"x-amz-target": TARGET["x-amz-target"] + "x"}}, None),
    ],
)
def test_a_request_of_another_kind_is_refused(
    service: str, change: dict[str, Any], status: int | None
) -> None:
    is_json = service == "cloudtrail"
    request: dict[str, Any] = {
        "method": "POST",
        "path": "/",
        "query": "",
        "content_type": JSON if is_json else FORM,
        "headers": TARGET if is_json else {},
        "body": b"{}" if is_json else VPCS,
    }
    load_service(service).parse(**request)

    with pytest.raises(ServiceError) as refused:
        load_service(service).parse(**request | change)

    assert refused.value.status == status


steps = st.sampled_from(["VpcId", "Filter", "Name", "Value", "1", "2", "9999", "", "x", "\0", "é"]) | st.text(
    max_size=3
)
names = st.lists(steps, min_size=1, max_size=6).map(".".join)


@given(st.dictionaries(names, st.text(max_size=4), max_size=8), st.sampled_from(["ec2", "iam"]))
def test_any_form_is_a_call_or_a_service_error(parameters: dict[str, str], service: str) -> None:
    from urllib.parse import urlencode

    action = {"ec2": "DescribeVpcs", "iam": "PutAccountProperties"}[service]
    version = load_service(service).model.api_version
    body = urlencode({**parameters, "Action": action, "Version": version}).encode()
    try:
        form(body, service)
    except ServiceError as error:
        load_service(service).render_error(error, "request-1")


@given(st.binary(max_size=200))
@example(b"Action=%zz")
@example(b"Action=DescribeVpcs&Version=2016-11-15&%=%")
def test_any_bytes_are_a_call_or_a_service_error(body: bytes) -> None:
    for read in (form, document):
        try:
            read(body)
        except ServiceError as error:
            load_service("iam").render_error(error, "request-1")


keys = st.sampled_from(["LookupAttributes", "AttributeKey", "MaxResults", "StartTime", "NextToken", "x"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, documents))
def test_any_document_is_a_call_or_a_service_error(value: dict[str, Any]) -> None:
    try:
        document(json.dumps(value).encode())
    except ServiceError as error:
        load_service("cloudtrail").render_error(error, "request-1")
