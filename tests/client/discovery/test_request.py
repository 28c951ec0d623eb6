"""The presigned URL that asks for a tunnel, and the values that never become one."""

from datetime import UTC, datetime
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from hatchway.client.api.shared_files import Credentials
from hatchway.client.discovery.request import TunnelRequest
from hatchway.client.errors import InvalidOption

NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)


def request(**changes: Any) -> TunnelRequest:
    values: dict[str, Any] = {
        "endpoint_id": "eice-0123456789abcdef0",
        "dns_name": "eice-0123456789abcdef0.example.test",
        "private_ip_address": "10.0.1.1",
    }
    return TunnelRequest(**values | changes).checked()


def presigned(made: TunnelRequest, session_token: str | None = None) -> str:
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "secret", session_token)
    return made.presigned(credentials, region="us-east-1", now=NOW)


def test_the_url_has_the_aws_cli_s_parameters_in_its_order() -> None:
    unsigned, _, signature = presigned(request(max_tunnel_duration=600)).partition("&X-Amz-Signature=")
    assert unsigned == (
        "/openTunnel?instanceConnectEndpointId=eice-0123456789abcdef0&remotePort=22&privateIpAddress=10.0.1.1"
        "&maxTunnelDuration=600&X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261124%2Fus-east-1%2Fec2-instance-connect%2Faws4_request"
        "&X-Amz-Date=20261124T061723Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
    )
    assert len(signature) == 64


def test_a_duration_that_was_not_asked_for_is_not_in_the_url() -> None:
    assert "maxTunnelDuration" not in presigned(request())


@pytest.mark.parametrize("session_token", [None, "IQoJ/+=="])
@pytest.mark.parametrize("address", ["10.0.1.1", "fd00::1"])
def test_botocore_makes_the_same_signature(
    monkeypatch: pytest.MonkeyPatch, session_token: str | None, address: str
) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None))
    ours = presigned(request(private_ip_address=address), session_token)
    asked = ours.partition("&X-Amz-Algorithm")[0]
    theirs = botocore.awsrequest.AWSRequest(
        "GET", "https://eice-0123456789abcdef0.example.test" + asked, headers={}
    )
    botocore.auth.SigV4QueryAuth(
        botocore.credentials.Credentials("AKIAIOSFODNN7EXAMPLE", "secret", session_token),
        "ec2-instance-connect",
        "us-east-1",
        expires=60,
    ).add_auth(theirs)
    assert ours.rpartition("=")[2] == theirs.url.rpartition("=")[2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint_id": "eice-"},
        {"endpoint_id": "eice-1&remotePort=23"},
        {"dns_name": "gateway:8444"},
        {"dns_name": "gate way"},
        {"private_ip_address": "web-1"},
        {"private_ip_address": "10.0.1.0/24"},
        {"private_ip_address": "fe80::1%eth0"},
        {"remote_port": 0},
        {"remote_port": 65536},
        {"max_tunnel_duration": 0},
        {"max_tunnel_duration": 86_401},
    ],
)
def test_a_value_that_no_gateway_could_accept_is_refused_here(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption) as caught:
        request(**wrong)
    assert caught.value.exit_code == 2


def test_no_secret_stands_in_a_repr() -> None:
    assert "SECRET" not in repr(Credentials("AKIAEXAMPLE", "SECRET", "SECRET"))
