"""Replies in XML: what a client of EC2, IAM or STS is sent for a result, and for an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.protocol.sample import EVERYTHING, UNLIKE_THE_MODEL, model

from hatchway.protocol import ServiceError, load_service, xml


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


def test_what_xml_cannot_carry_is_left_out_and_the_rest_is_escaped() -> None:
    name = "a\0b<c>&\"d'\r\n\t\ud800\ufffe\U0001f600"

    reply = load_service("ec2").render_result("DescribeVpcs", {"Vpcs": [{"VpcId": name}]}, name)

    texts = [element.text for element in ElementTree.fromstring(reply.body).iter() if element.text]
    assert texts == ["ab<c>&\"d'\r\n\t\U0001f600"] * 2


def test_the_fault_does_not_repeat_a_secret() -> None:
    with pytest.raises(TypeError) as fault:
        load_service("iam").render_result(
            "CreateAccessKey", {"AccessKey": {"SecretAccessKey": b"hunter2"}}, "request-1"
        )

    assert "AccessKey.SecretAccessKey" in str(fault.value)
    assert "hunter2" not in str(fault.value)


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


@pytest.mark.parametrize(("service", "operation", "result", "error"), UNLIKE_THE_MODEL)
def test_a_result_that_is_not_the_models_is_a_fault_of_the_program(
    service: str, operation: str, result: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        load_service(service).render_result(operation, result, "request-1")


@pytest.mark.parametrize("service", ["ec2", "iam", "ec2-instance-connect"])
def test_an_errors_fields_must_be_the_models(service: str) -> None:
    with pytest.raises(KeyError):
        load_service(service).render_error(
            ServiceError("AuthException", "why", fields={"Colour": "red"}), "r"
        )


@pytest.mark.parametrize(
    ("protocol", "item", "time"),
    [("ec2", "item", "2026-11-24T06:17:23.500Z"), ("query", "member", "2026-11-24T06:17:23Z")],
)
def test_each_type_has_its_form_and_what_is_none_is_left_out(protocol: str, item: str, time: str) -> None:
    body = xml.result_body(model(protocol), "Do", EVERYTHING, "request-1").decode()

    assert (
        "<spelledOtherwise>a</spelledOtherwise><Flag>true</Flag><Number>7</Number><Long>1099511627776</Long>"
        f"<Float>0.5</Float><Double>2</Double><When>{time}</When><Data>AAE=</Data>"
        f"<Names><{item}>a</{item}><{item}>b</{item}></Names>"
        "<Labels><entry><key>ab</key><value>x</value></entry></Labels>"
        f"<Item><Name>n</Name></Item><Items><{item}><Name>m</Name></{item}></Items>"
    ) in body
    assert "<Text>" not in body


def test_an_error_of_the_query_protocol_has_its_fields() -> None:
    error = ServiceError("Asleep", "zzz", fields={"Until": "<noon>"})

    body = xml.error_body(model("query"), error, 503, "request-1").decode()

    assert "<Type>Receiver</Type><Code>Asleep</Code><Message>zzz</Message><Until>&lt;noon&gt;</Until>" in body
