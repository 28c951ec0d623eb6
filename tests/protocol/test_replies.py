"""Replies: what a client is sent for a result, and for an error."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest

from hatchway.protocol import ServiceError, load_service


def test_an_ec2_reply_is_laid_out_as_the_api_reference_shows_it() -> None:
    endpoint = {
        "InstanceConnectEndpointId": "eice-0123456789abcdef0",
        "CreatedAt": datetime(2026, 11, 24, 6, 17, 23, 456789, tzinfo=UTC),
        "SecurityGroupIds": ["sg-1", "sg-2"],
        "PreserveClientIp": False,
        "Tags": [],
        "StateMessage": None,
    }

    reply = load_service("ec2").render_result(
        "DescribeInstanceConnectEndpoints", {"InstanceConnectEndpoints": [endpoint]}, "request-1"
    )

    assert reply.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<DescribeInstanceConnectEndpointsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        "<requestId>request-1</requestId><instanceConnectEndpointSet><item>"
        "<instanceConnectEndpointId>eice-0123456789abcdef0</instanceConnectEndpointId>"
        "<createdAt>2026-11-24T06:17:23.456Z</createdAt>"
        "<securityGroupIdSet><item>sg-1</item><item>sg-2</item></securityGroupIdSet>"
        "<preserveClientIp>false</preserveClientIp><tagSet></tagSet>"
        "</item></instanceConnectEndpointSet></DescribeInstanceConnectEndpointsResponse>"
    )
    assert ("content-type", "text/xml;charset=UTF-8") in reply.headers


def test_an_iam_reply_is_laid_out_as_the_api_reference_shows_it() -> None:
    created = datetime(2026, 11, 24, 7, 17, 23, tzinfo=timezone(timedelta(hours=1)))

    reply = load_service("iam").render_result(
        "CreateUser", {"User": {"UserName": "alice", "CreateDate": created}}, "request-1"
    )

    assert reply.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<CreateUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><CreateUserResult><User>'
        "<UserName>alice</UserName><CreateDate>2026-11-24T06:17:23Z</CreateDate></User></CreateUserResult>"
        "<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></CreateUserResponse>"
    )


def test_a_reply_of_an_operation_without_a_result_has_metadata_only() -> None:
    reply = load_service("iam").render_result("DeleteUser", {}, "request-1")

    assert reply.body.decode().endswith(
        '/doc/2010-05-08/"><ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></DeleteUserResponse>'
    )


def test_policy_documents_are_percent_encoded() -> None:
    result = {"UserName": "alice", "PolicyName": "p", "PolicyDocument": '{"a": "b%"}'}

    reply = load_service("iam").render_result("GetUserPolicy", result, "request-1")

    assert b"<PolicyDocument>%7B%22a%22%3A%20%22b%25%22%7D</PolicyDocument>" in reply.body


def test_a_json_reply_counts_time_in_seconds() -> None:
    event = {"EventId": "e", "EventTime": datetime(2026, 11, 24, 6, 17, 23, 500_000, tzinfo=UTC)}

    reply = load_service("cloudtrail").render_result("LookupEvents", {"Events": [event, event]}, "request-1")

    assert json.loads(reply.body)["Events"][0] == {"EventId": "e", "EventTime": 1795501043.5}
    assert ("content-type", "application/x-amz-json-1.1") in reply.headers
    assert ("x-amzn-requestid", "request-1") in reply.headers


def test_what_xml_cannot_carry_is_left_out_and_the_rest_is_escaped() -> None:
    name = "a\0b<c>&\"d'\r\n\t\ud800\ufffe\U0001f600"

    reply = load_service("ec2").render_result("DescribeVpcs", {"Vpcs": [{"VpcId": name}]}, name)

    texts = [element.text for element in ElementTree.fromstring(reply.body).iter() if element.text]
    assert texts == ["ab<c>&\"d'\r\n\t\U0001f600"] * 2


@pytest.mark.parametrize(
    ("service", "operation", "result", "error"),
    [
        ("ec2", "DescribeVpcs", {"Colour": "red"}, KeyError),
        ("ec2", "DescribeVpcs", {"Vpcs": [{"Colour": "red"}]}, KeyError),
        ("ec2", "DescribeVpcs", {"Vpcs": "vpc-1"}, TypeError),
        ("ec2", "DescribeVpcs", {"Vpcs": {}}, TypeError),
        ("ec2", "DescribeVpcs", {"Vpcs": ["vpc-1"]}, TypeError),
        ("ec2", "DescribeVpcs", {"NextToken": 7}, TypeError),
        ("ec2", "DescribeVpcs", {"Vpcs": [{"IsDefault": "true"}]}, TypeError),
        ("ec2", "DescribeSubnets", {"Subnets": [{"AvailableIpAddressCount": True}]}, TypeError),
        ("iam", "CreateUser", {"User": {"CreateDate": datetime(2026, 1, 1)}}, TypeError),
        ("iam", "CreateUser", {"User": {"CreateDate": "2026-01-01T00:00:00Z"}}, TypeError),
        ("iam", "DeleteUser", {"User": {}}, KeyError),
        ("cloudtrail", "LookupEvents", {"Events": [{"EventTime": datetime(2026, 1, 1)}]}, TypeError),
        ("cloudtrail", "LookupEvents", {"Events": [{"Colour": "red"}]}, KeyError),
        ("cloudtrail", "LookupEvents", {"NextToken": b"t"}, TypeError),
    ],
)
def test_a_result_that_is_not_the_models_is_a_fault_of_the_program(
    service: str, operation: str, result: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        load_service(service).render_result(operation, result, "request-1")


def test_the_fault_does_not_repeat_a_secret() -> None:
    with pytest.raises(TypeError) as fault:
        load_service("iam").render_result(
            "CreateAccessKey", {"AccessKey": {"SecretAccessKey": b"hunter2"}}, "request-1"
        )

    assert "AccessKey.SecretAccessKey" in str(fault.value)
    assert "hunter2" not in str(fault.value)


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "AuthFailure", 401),
        ("ec2", "UnauthorizedOperation", 403),
        ("ec2", "DryRunOperation", 412),
        ("ec2", "InvalidSubnetID.NotFound", 400),
        ("ec2", "RequestLimitExceeded", 503),
        ("ec2", "InternalError", 500),
        ("iam", "NoSuchEntity", 404),
        ("iam", "EntityAlreadyExists", 409),
        ("iam", "LimitExceeded", 409),
        ("iam", "DeleteConflict", 409),
        ("iam", "MalformedPolicyDocument", 400),
        ("iam", "AccessDenied", 403),
        ("iam", "ServiceFailure", 500),
        ("sts", "SignatureDoesNotMatch", 403),
        ("sts", "InvalidClientTokenId", 403),
        ("sts", "MissingAuthenticationToken", 403),
        ("sts", "IncompleteSignature", 400),
        ("sts", "RequestExpired", 400),
        ("sts", "RegionDisabledException", 403),
        ("ec2-instance-connect", "AuthException", 400),
        ("ec2-instance-connect", "ServiceException", 500),
        ("cloudtrail", "AccessDeniedException", 400),
    ],
)
def test_an_error_has_the_status_that_aws_gives_it(service: str, code: str, status: int) -> None:
    assert load_service(service).render_error(ServiceError(code, "why"), "request-1").status == status


def test_an_error_may_bring_its_own_status() -> None:
    error = ServiceError("NoSuchEntity", "why", status=410)

    assert load_service("iam").render_error(error, "request-1").status == 410


def test_an_ec2_error_is_laid_out_as_the_api_reference_shows_it() -> None:
    reply = load_service("ec2").render_error(ServiceError("AuthFailure", "a < b"), "request-1")

    assert reply.body.decode().partition("\n")[2] == (
        "<Response><Errors><Error><Code>AuthFailure</Code><Message>a &lt; b</Message></Error></Errors>"
        "<RequestID>request-1</RequestID></Response>"
    )


@pytest.mark.parametrize(("code", "fault"), [("NoSuchEntity", "Sender"), ("ServiceFailure", "Receiver")])
def test_an_iam_error_is_laid_out_as_the_api_reference_shows_it(code: str, fault: str) -> None:
    reply = load_service("iam").render_error(ServiceError(code, "why"), "request-1")

    assert reply.body.decode().partition("\n")[2] == (
        f'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>{fault}</Type>'
        f"<Code>{code}</Code><Message>why</Message></Error><RequestId>request-1</RequestId></ErrorResponse>"
    )


def test_a_json_error_is_named_in_its_body_and_in_a_header() -> None:
    reply = load_service("ec2-instance-connect").render_error(
        ServiceError("AuthException", "why"), "request-1"
    )

    assert json.loads(reply.body) == {"__type": "AuthException", "Message": "why"}
    assert ("x-amzn-errortype", "AuthException") in reply.headers


@pytest.mark.parametrize("service", ["ec2", "iam", "ec2-instance-connect"])
def test_an_errors_fields_must_be_the_models(service: str) -> None:
    with pytest.raises(KeyError):
        load_service(service).render_error(
            ServiceError("AuthException", "why", fields={"Colour": "red"}), "r"
        )
