"""Requests that break the model, and the words in which each service refuses them."""

from __future__ import annotations

import json

import pytest
from tests.protocol.sample import model

from hatchway.protocol import ServiceError, load_service
from hatchway.protocol.refusals import ec2_parameter_name, not_offered

FORM = "application/x-www-form-urlencoded; charset=utf-8"
VERSIONS = {"ec2": "2016-11-15", "iam": "2010-05-08", "sts": "2011-06-15"}
TARGETS = {
    "ec2-instance-connect": "AWSEC2InstanceConnectService.",
    "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.",
}


def refusal(service: str, request: str) -> ServiceError:
    """What the service says to a form without its version, or to `Operation {json}`."""
    peer = load_service(service)
    with pytest.raises(ServiceError) as refused:
        if service in TARGETS:
            operation, _, body = request.partition(" ")
            headers = {"x-amz-target": TARGETS[service] + operation}
            peer.parse("POST", "/", "", "application/x-amz-json-1.1", headers, body.encode())
        else:
            peer.parse("POST", "/", "", FORM, {}, f"{request}&Version={VERSIONS[service]}".encode())
    return refused.value


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        ("Action=Frobnicate", "InvalidAction", "The action Frobnicate is not valid for this web service."),
        ("SubnetId=subnet-1", "MissingAction", "The request must contain the parameter Action"),
        (
            "Action=CreateInstanceConnectEndpoint",
            "MissingParameter",
            "The request must contain the parameter subnetId",
        ),
        (
            "Action=DescribeVpcs&Colour=red",
            "UnknownParameter",
            "The parameter Colour is not recognized",
        ),
        (
            "Action=DescribeVpcs&Filter.1.Name=state&Filter.1.Value.1=a&Filter.1.Colour.2.Hue=red",
            "UnknownParameter",
            "The parameter Filter.1.Colour.2.Hue is not recognized",
        ),
        (
            "Action=DescribeVpcs&VpcIds.1=vpc-1",
            "UnknownParameter",
            "The parameter VpcIds.1 is not recognized",
        ),
        ("Action=DescribeVpcs&VpcId=vpc-1", "UnknownParameter", "The parameter VpcId is not recognized"),
        (
            "Action=DescribeVpcs&VpcId.1.2=vpc-1",
            "UnknownParameter",
            "The parameter VpcId.1.2 is not recognized",
        ),
        (
            "Action=DescribeVpcs&VpcId.1000000000=vpc-1",
            "UnknownParameter",
            "The parameter VpcId.1000000000 is not recognized",
        ),
        (
            "Action=DescribeVpcs&VpcId.01=vpc-1",
            "UnknownParameter",
            "The parameter VpcId.01 is not recognized",
        ),
        ("Action=DescribeVpcs&VpcId.0=vpc-1", "UnknownParameter", "The parameter VpcId.0 is not recognized"),
        (
            "Action=DescribeVpcs&MaxResults=many",
            "InvalidParameterValue",
            "Value (many) for parameter maxResults is invalid. It must be an integer.",
        ),
        (
            "Action=DescribeVpcs&MaxResults=4",
            "InvalidParameterValue",
            "Value (4) for parameter maxResults is invalid. It must have value greater than or equal to 5.",
        ),
        (
            "Action=DescribeVpcs&MaxResults=99999999999",
            "InvalidParameterValue",
            "Value (99999999999) for parameter maxResults is invalid. It must be an integer of 32 bits.",
        ),
        (
            "Action=DescribeVpcs&DryRun=maybe",
            "InvalidParameterValue",
            "Value (maybe) for parameter dryRun is invalid. It must be true or false.",
        ),
        (
            "Action=CreateInstanceConnectEndpoint&SubnetId=s&IpAddressType=ipv5",
            "InvalidParameterValue",
            "Value (ipv5) for parameter ipAddressType is invalid. "
            "It must satisfy enum value set: [ipv4, dualstack, ipv6].",
        ),
        (
            "Action=CreateInstanceConnectEndpoint&SubnetId=%00",
            "InvalidParameterValue",
            "Value () for parameter subnetId is invalid. It must contain no control characters.",
        ),
    ],
)
def test_ec2_names_the_parameter_as_it_stands_in_the_request(request_: str, code: str, message: str) -> None:
    error = refusal("ec2", request_)

    assert (error.code, error.message) == (code, message)


def test_ec2_takes_at_most_sixteen_security_groups() -> None:
    groups = "".join(f"&SecurityGroupId.{n}=sg-{n}" for n in range(1, 18))

    error = refusal("ec2", "Action=CreateInstanceConnectEndpoint&SubnetId=s" + groups)

    assert error.code == "InvalidParameterValue"
    assert (
        "parameter securityGroupId is invalid. It must have length less than or equal to 16." in error.message
    )


USER_NAME = r"Member must satisfy regular expression pattern: [\w+=,.@-]+"


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (
            "Action=Frobnicate",
            "InvalidAction",
            "Could not find operation Frobnicate for version 2010-05-08",
        ),
        (
            "Action=CreateUser",
            "ValidationError",
            "1 validation error detected: "
            "Value null at 'userName' failed to satisfy constraint: Member must not be null",
        ),
        (
            "Action=CreateUser&UserName=a%21",
            "ValidationError",
            f"1 validation error detected: Value 'a!' at 'userName' failed to satisfy constraint: "
            f"{USER_NAME}",
        ),
        (
            "Action=CreateUser&UserName=%C3%A9",
            "ValidationError",
            f"1 validation error detected: Value 'é' at 'userName' failed to satisfy constraint: {USER_NAME}",
        ),
        (
            "Action=CreateUser&UserName=",
            "ValidationError",
            "2 validation errors detected: Value '' at 'userName' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1; "
            f"Value '' at 'userName' failed to satisfy constraint: {USER_NAME}",
        ),
        (
            "Action=CreateUser&UserName=a&Tags.member.1.Key=k&Tags.member.2.Value=v",
            "ValidationError",
            "2 validation errors detected: "
            "Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null; "
            "Value null at 'tags.2.member.key' failed to satisfy constraint: Member must not be null",
        ),
        (
            "Action=UpdateAccessKey&AccessKeyId=AKIAIOSFODNN7EXAMPLE&Status=Asleep",
            "ValidationError",
            "1 validation error detected: Value 'Asleep' at 'status' failed to satisfy constraint: "
            "Member must satisfy enum value set: [Active, Inactive, Expired]",
        ),
        (
            "Action=ListUsers&MaxItems=1001",
            "ValidationError",
            "1 validation error detected: Value '1001' at 'maxItems' failed to satisfy constraint: "
            "Member must have value less than or equal to 1000",
        ),
        ("Action=ListUsers&MaxItems=all", "ValidationError", "MaxItems must be an integer"),
        (
            "Action=CreateUser&UserName=a&Tags.1.Key=k",
            "ValidationError",
            "1 validation error detected: The parameter Tags.1.Key is not recognized",
        ),
    ],
)
def test_iam_lists_what_is_wrong_with_each_member(request_: str, code: str, message: str) -> None:
    error = refusal("iam", request_)

    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("service", "request_", "code", "message"),
    [
        (
            "ec2-instance-connect",
            'SendSSHPublicKey {"InstanceId": "i-1", "InstanceOSUser": "root", "SSHPublicKey": "short"}',
            "InvalidArgsException",
            "2 validation errors detected: "
            "Value 'i-1' at 'instanceId' failed to satisfy constraint: "
            "Member must have length greater than or equal to 10; "
            "Value 'short' at 'sSHPublicKey' failed to satisfy constraint: "
            "Member must have length greater than or equal to 80",
        ),
        (
            "ec2-instance-connect",
            'SendSSHPublicKey {"InstanceId": 7}',
            "SerializationException",
            "instanceId must be a string",
        ),
        (
            "ec2-instance-connect",
            'SendSSHPublicKey {"Colour": 7}',
            "InvalidArgsException",
            "1 validation error detected: The parameter Colour is not recognized",
        ),
        (
            "ec2-instance-connect",
            "Frobnicate {}",
            "UnknownOperationException",
            "X-Amz-Target names no operation of this service.",
        ),
        (
            "cloudtrail",
            'LookupEvents {"MaxResults": 51}',
            "InvalidMaxResultsException",
            "1 validation error detected: Value '51' at 'maxResults' failed to satisfy constraint: "
            "Member must have value less than or equal to 50",
        ),
        (
            "cloudtrail",
            'LookupEvents {"LookupAttributes": [{"AttributeKey": "Colour", "AttributeValue": "red"}]}',
            "InvalidLookupAttributesException",
            "1 validation error detected: Value 'Colour' at 'lookupAttributes.1.member.attributeKey' "
            "failed to satisfy constraint: Member must satisfy enum value set: [EventId, EventName, "
            "ReadOnly, Username, ResourceType, ResourceName, EventSource, AccessKeyId]",
        ),
        (
            "cloudtrail",
            'LookupEvents {"StartTime": "yesterday"}',
            "SerializationException",
            "startTime must be a date and time, in seconds since 1970",
        ),
    ],
)
def test_json_services_have_codes_of_their_own(service: str, request_: str, code: str, message: str) -> None:
    error = refusal(service, request_)

    assert (error.code, error.message) == (code, message)


def test_a_value_that_the_model_calls_sensitive_is_not_repeated() -> None:
    error = refusal("iam", "Action=CreateLoginProfile&UserName=a&Password=" + "hunter2" * 20)

    assert error.code == "ValidationError"
    assert "'password'" in error.message
    assert "hunter2" not in error.message


def test_a_message_repeats_little_of_a_long_value() -> None:
    error = refusal("iam", "Action=CreateUser&UserName=" + "%21" * 300_000)

    assert error.code == "ValidationError"
    assert len(error.message) < 500


def test_a_message_lists_few_of_many_faults() -> None:
    error = refusal("iam", "Action=CreateUser&UserName=a&" + "&".join(f"x{n}=1" for n in range(4000)))

    assert error.message.startswith("4000 validation errors detected")
    assert len(error.message) <= 2048


@pytest.mark.parametrize(
    ("service", "version", "code"),
    [
        ("ec2", "", "MissingParameter"),
        ("ec2", "&Version=2014-10-01", "NoSuchVersion"),
        ("iam", "", "InvalidAction"),
        ("iam", "&Version=2010-05-09", "InvalidAction"),
    ],
)
def test_the_version_must_be_the_models(service: str, version: str, code: str) -> None:
    action = {"ec2": "DescribeVpcs", "iam": "ListUsers"}[service]

    with pytest.raises(ServiceError) as refused:
        load_service(service).parse("POST", "/", "", FORM, {}, f"Action={action}{version}".encode())

    assert refused.value.code == code


def test_a_null_is_a_member_not_given() -> None:
    call = load_service("cloudtrail").parse(
        "POST",
        "/",
        "",
        "application/x-amz-json-1.1",
        {"x-amz-target": TARGETS["cloudtrail"] + "LookupEvents"},
        json.dumps({"MaxResults": None, "NextToken": "t"}).encode(),
    )

    assert call.parameters == {"NextToken": "t"}


def test_the_parameters_of_a_presigned_url_are_not_the_operations() -> None:
    query = (
        "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a"
        "&X-Amz-Date=b&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=c&X-Amz-Signature=d"
    )

    assert load_service("sts").parse("GET", "/", query, "", {}, b"").operation == "GetCallerIdentity"
    with pytest.raises(ServiceError):
        load_service("sts").parse("POST", "/", "", FORM, {}, query.encode())


def test_items_are_in_the_order_of_their_numbers() -> None:
    body = b"Action=DescribeVpcs&Version=2016-11-15&VpcId.10=c&VpcId.2=b&VpcId.1=a"

    assert load_service("ec2").parse("POST", "/", "", FORM, {}, body).parameters == {
        "VpcIds": ["a", "b", "c"]
    }


def test_what_is_not_offered_is_named_with_its_service() -> None:
    assert not_offered(model("query"), "Do") == "Hatchway does not have the operation Do of sample."


@pytest.mark.parametrize(
    ("member", "name"), [("Text", "Text"), ("Renamed", "SpelledOtherwise"), ("Queried", "InQueries")]
)
def test_ec2_spells_a_member_by_its_query_name_or_its_location_in_capitals(member: str, name: str) -> None:
    everything = model("ec2").shape_for("Everything")

    assert ec2_parameter_name(everything.members[member], member) == name
