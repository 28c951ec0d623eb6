"""The checks of OpenTunnel, the reasons of a refusal, and the sealed message that carries them."""

import json

import pytest

from hatchway.access.authorization import AccessDenied, Check, authorize
from hatchway.access.failure_message import decode_failure_message, encode_failure_message
from hatchway.access.open_tunnel import TunnelRequest, is_decided_alike, open_tunnel_checks
from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.iam import PolicySet, parse_policy
from hatchway.keys.vault import Unsealable, Vault

ENDPOINT = "arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-0123456789abcdef0"
REQUEST = TunnelRequest("eice-0123456789abcdef0", "10.0.1.1", 22, 3600)
VAULT = Vault(bytes(range(32)))


def caller(condition: dict[str, dict[str, str]]) -> Caller:
    document = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "ec2-instance-connect:OpenTunnel",
            "Resource": ENDPOINT,
            "Condition": condition,
        },
    }
    principal = Principal(
        arn="arn:aws:iam::123456789012:user/alice",
        account="123456789012",
        type=PrincipalType.USER,
        user_id="AIDA1",
        user_name="alice",
        access_key_id="AKIA1",
    )
    return Caller(principal, PolicySet(identity=(parse_policy(document, name="connect"),)))


def opens(condition: dict[str, dict[str, str]], endpoint: dict[str, str], instance: dict[str, str]) -> bool:
    try:
        authorize(caller(condition), open_tunnel_checks(REQUEST, ENDPOINT, endpoint, instance), {})
    except AccessDenied:
        return False
    return True


DEV = {"StringEquals": {"aws:ResourceTag/env": "dev"}}


@pytest.mark.parametrize(
    ("endpoint", "instance", "allowed"),
    [
        ({"env": "dev"}, {"env": "dev"}, True),
        ({"env": "dev"}, {}, True),
        ({}, {"env": "dev"}, True),
        ({}, {}, False),
        ({"env": "dev"}, {"env": "prod"}, False),
        ({"env": "prod"}, {"env": "dev"}, False),
        ({"env": "dev"}, {"Env": "prod"}, False),
        ({"Env": "dev"}, {"env": "dev"}, True),
    ],
)
def test_where_tags_disagree_both_readings_must_allow(
    endpoint: dict[str, str], instance: dict[str, str], allowed: bool
) -> None:
    assert opens(DEV, endpoint, instance) is allowed


@pytest.mark.parametrize(
    ("condition", "alike"),
    [
        (DEV, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-25T00:00:00Z"}}, False),
        ({"NumericLessThan": {"aws:EpochTime": "1795651200"}}, False),
    ],
)
def test_what_no_policy_asks_the_time_for_is_decided_alike_whenever_it_comes(
    condition: dict[str, dict[str, str]], alike: bool
) -> None:
    assert is_decided_alike(caller(condition)) is alike


def test_only_where_tags_disagree_there_are_two_checks() -> None:
    assert len(open_tunnel_checks(REQUEST, ENDPOINT, {"a": "1"}, {"a": "1", "b": "2"})) == 1
    assert len(open_tunnel_checks(REQUEST, ENDPOINT, {"a": "1"}, {"a": "2"})) == 2


def test_a_check_is_about_the_endpoint_and_tells_what_is_asked_in_awss_keys() -> None:
    assert open_tunnel_checks(REQUEST._replace(max_duration=600), ENDPOINT, {}, {"env": "dev"}) == (
        Check(
            "ec2-instance-connect:OpenTunnel",
            (ENDPOINT,),
            context={
                "ec2-instance-connect:remotePort": "22",
                "ec2-instance-connect:privateIpAddress": "10.0.1.1",
                "ec2-instance-connect:maxTunnelDuration": "600",
                "aws:ResourceTag/env": "dev",
                "ec2:ResourceTag/env": "dev",
            },
        ),
    )


def test_port_address_and_duration_are_condition_keys() -> None:
    assert opens({"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}, {}, {})
    assert not opens({"NumericEquals": {"ec2-instance-connect:remotePort": "23"}}, {}, {})
    assert opens({"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/31"}}, {}, {})
    assert not opens({"NumericLessThan": {"ec2-instance-connect:maxTunnelDuration": "3600"}}, {}, {})


def refusal() -> AccessDenied:
    checks = open_tunnel_checks(REQUEST, ENDPOINT, {"env": "prod"}, {})
    with pytest.raises(AccessDenied) as raised:
        authorize(caller(DEV), checks, {})
    return raised.value


def test_the_caller_is_told_awss_sentence_and_no_policy_text() -> None:
    assert str(refusal()) == (
        "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: "
        f"ec2-instance-connect:OpenTunnel on resource: {ENDPOINT} because no identity-based policy "
        "allows the ec2-instance-connect:OpenTunnel action"
    )


def test_the_failure_message_hides_the_reasons_and_decodes_to_them() -> None:
    denied = refusal()
    message = encode_failure_message(VAULT, denied)
    assert "aws:ResourceTag" not in message
    decoded = decode_failure_message(VAULT, message)
    assert decoded["principal"] == denied.principal.arn
    assert decoded["checks"] == json.loads(json.dumps(denied.authorization.to_json()["checks"]))
    assert "aws:ResourceTag/env" in json.dumps(decoded)


@pytest.mark.parametrize("message", ["", "AAAA", "not base64 ☃", "A" * 10_000])
def test_a_message_from_elsewhere_does_not_decode(message: str) -> None:
    with pytest.raises(Unsealable):
        decode_failure_message(VAULT, message)
    with pytest.raises(Unsealable):
        decode_failure_message(Vault(bytes(32)), encode_failure_message(VAULT, refusal()))
