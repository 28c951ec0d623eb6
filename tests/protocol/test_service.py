"""A service takes requests of its protocol and no others, and answers in kind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.messages import Call
from hatchway.protocol.service import LARGEST_DOCUMENT, LARGEST_REQUEST, Service, load_service
from hatchway.protocol.service_models import UnknownServiceError

FORM = "application/x-www-form-urlencoded"
JSON = "application/x-amz-json-1.1"
TARGET = {"x-amz-target": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"}


def form(service: Service, body: str, **changes: Any) -> Call:
    request = {"method": "POST", "path": "/", "query": "", "content_type": FORM, "headers": {}, **changes}
    return service.parse(**request, body=f"{body}&Version={service.model.api_version}".encode())


def document(body: bytes, **changes: Any) -> Call:
    request = {"method": "POST", "path": "/", "query": "", "content_type": JSON, "headers": TARGET, **changes}
    return load_service("cloudtrail").parse(**request, body=body)


def refusal(service: Service, body: str, **changes: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        form(service, body, **changes)
    return refused.value


def test_a_form_is_a_call_with_the_models_names() -> None:
    assert form(load_service("ec2"), "Action=DescribeVpcs&VpcId.1=vpc-1") == Call(
        "DescribeVpcs", {"VpcIds": ["vpc-1"]}
    )


def test_a_document_is_a_call_to_the_operation_of_its_header() -> None:
    assert document(b'{"MaxResults": 5}') == Call("LookupEvents", {"MaxResults": 5})


def test_an_operation_without_parameters_is_a_call_too() -> None:
    assert form(load_service("iam"), "Action=GetAccountSummary") == Call("GetAccountSummary", {})


def test_a_service_is_loaded_once_and_only_if_it_is_there() -> None:
    assert load_service("sts") is load_service("sts")
    with pytest.raises(UnknownServiceError):
        load_service("s3")


def test_a_request_has_a_size_which_for_documents_is_smaller() -> None:
    ec2 = load_service("ec2")
    error = refusal(ec2, "Action=DescribeVpcs&a=" + "a" * LARGEST_REQUEST)
    assert (error.code, error.status) == ("RequestEntityTooLarge", 413)
    assert refusal(ec2, "", query="a" * (LARGEST_REQUEST + 1)).code == "RequestEntityTooLarge"
    with pytest.raises(ServiceError, match=f"larger than {LARGEST_DOCUMENT} bytes"):
        document(b" " * (LARGEST_DOCUMENT + 1))
    assert document(b"{}".ljust(LARGEST_DOCUMENT)).parameters == {}


def test_only_an_operation_that_takes_a_file_takes_a_larger_document_and_of_few_names() -> None:
    def document(target: str, body: bytes) -> Any:
        headers = {"x-amz-target": f"Hatchway.{target}"}
        return load_service("hatchway").parse("POST", "/", "", "application/x-amz-json-1.1", headers, body)

    large = b'{"FleetFile": "%s"}' % (b"A" * (LARGEST_DOCUMENT + 4))
    assert len(document("ApplyFleet", large).parameters["FleetFile"]) > 49_000
    many = b'{"FleetFile": "AAAA", %s}' % b", ".join(b'"n%d": 1' % number for number in range(9000))
    for target, body in (
        ("ListTunnels", large),
        ("ApplyFleet", many),
        ("ApplyFleet", b" " * (LARGEST_REQUEST + 1)),
    ):
        with pytest.raises(ServiceError) as caught:
            document(target, body)
        assert caught.value.code == "RequestEntityTooLarge"


def test_a_request_goes_to_the_root() -> None:
    error = refusal(load_service("ec2"), "Action=DescribeVpcs", path="/vpcs")

    assert (error.code, error.status) == ("MalformedHttpRequestException", 404)


def test_an_operation_that_is_not_offered_is_refused_whatever_its_parameters() -> None:
    error = refusal(load_service("ec2"), "Action=DescribeVpcs&Colour=red", offered={"DescribeSubnets"})
    assert error.code == "InvalidAction"
    with pytest.raises(ServiceError) as refused:
        document(b"[]", offered=set())
    assert refused.value.code == "UnknownOperationException"


def test_the_worst_of_what_is_wrong_is_told_first() -> None:
    unreadable, unknown = "&MaxResults=many", "&Colour=red"
    ec2 = load_service("ec2")

    assert refusal(ec2, f"Action=DescribeVpcs{unknown}{unreadable}").code == "InvalidParameterValue"
    assert refusal(ec2, f"Action=DescribeVpcs{unknown}&MaxResults=4").code == "UnknownParameter"
    missing = "Action=CreateInstanceConnectEndpoint&IpAddressType=ipv5"
    assert refusal(ec2, missing).code == "MissingParameter"
    assert refusal(ec2, f"{missing}&SubnetId=s").code == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("service", "media_type"),
    [("ec2", "text/xml;charset=UTF-8"), ("cloudtrail", "application/x-amz-json-1.1")],
)
def test_a_result_is_in_the_services_protocol_under_the_requests_id(service: str, media_type: str) -> None:
    operation = {"ec2": "DescribeVpcs", "cloudtrail": "LookupEvents"}[service]

    reply = load_service(service).render_result(operation, {"NextToken": "t"}, "request-1")

    assert reply.status == 200
    assert reply.headers == (("content-type", media_type), ("x-amzn-requestid", "request-1"))
    assert b"t" in reply.body


def test_an_error_is_in_the_services_protocol_with_its_status_and_in_json_named_in_a_header() -> None:
    error = ServiceError("AuthFailure", "why")

    in_xml = load_service("ec2").render_error(error, "request-1")
    assert in_xml.status == 401
    assert b"<Code>AuthFailure</Code><Message>why</Message>" in in_xml.body
    in_json = load_service("cloudtrail").render_error(error, "request-1")
    assert in_json.status == 400
    assert ("x-amzn-errortype", "AuthFailure") in in_json.headers
    assert json.loads(in_json.body)["__type"] == "AuthFailure"


def test_a_service_knows_its_target_prefix() -> None:
    cloudtrail = load_service("cloudtrail")

    assert cloudtrail.is_target_prefix("CloudTrail_20131101")
    assert not cloudtrail.is_target_prefix("AWSEC2InstanceConnectService")
