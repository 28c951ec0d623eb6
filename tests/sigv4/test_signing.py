"""Known answers: what AWS's own test suite for Signature Version 4 says, and what botocore once made."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.sigv4.query_form import PARAMS, target

from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signing import sign_headers

NOW = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwt"
    "hAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVX"
    "AkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)


def request(method: str, query: str = "", *headers: tuple[str, str], body: bytes = b"") -> HttpRequest:
    return HttpRequest(method, "/", query, (("Host", "example.amazonaws.com"), *headers), body)


def signed(given: HttpRequest, **changes: Any) -> tuple[tuple[str, str], ...]:
    """As the test suite has it signed (AWS: "Signature Version 4 test suite")."""
    arguments: dict[str, Any] = {
        "access_key_id": "AKIDEXAMPLE",
        "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "region": "us-east-1",
        "service": "service",
        "now": NOW,
        **changes,
    }
    return sign_headers(given, **arguments)


def authorization(signed_headers: str, signature: str) -> str:
    return (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={signed_headers}, Signature={signature}"
    )


@pytest.mark.parametrize(
    ("given", "signed_headers", "signature"),
    [
        pytest.param(
            request("GET"),
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            id="get-vanilla",
        ),
        pytest.param(
            request("GET", "Param2=value2&Param1=value1"),
            "host;x-amz-date",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            id="get-vanilla-query-order-key-case",
        ),
        pytest.param(
            request("POST", "", *FORM, body=b"Param1=value1"),
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            id="post-x-www-form-urlencoded",
        ),
    ],
)
def test_a_request_of_awss_test_suite_gets_the_signature_that_is_published_for_it(
    given: HttpRequest, signed_headers: str, signature: str
) -> None:
    assert signed(given) == (
        ("X-Amz-Date", "20150830T123600Z"),
        ("Authorization", authorization(signed_headers, signature)),
    )


def test_a_session_token_is_signed_as_awss_test_suite_has_it() -> None:
    assert signed(request("POST"), session_token=TOKEN) == (
        ("X-Amz-Date", "20150830T123600Z"),
        ("X-Amz-Security-Token", TOKEN),
        (
            "Authorization",
            authorization(
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ),
    )


def test_headers_that_change_on_the_way_are_not_signed() -> None:
    changing = [("User-Agent", "curl"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("TE", "x")]

    assert signed(request("GET", "", *changing)) == signed(request("GET"))


UNSIGNED = (
    "/openTunnel?instanceConnectEndpointId=eice-0123456789abcdef0&remotePort=22&privateIpAddress=10.0.1.1"
    "&maxTunnelDuration=600&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"
    "%2F20261124%2Fus-east-1%2Fec2-instance-connect%2Faws4_request&X-Amz-Date=20261124T061723Z"
    "&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
)


@pytest.mark.parametrize(
    ("token", "rest"),
    [
        (None, "&X-Amz-Signature=2036fa3f5e480452a140bc2d9b95c7b073ebff9a0a0d8bd8ccc55e0f2c57b988"),
        (
            "FwoGZXIvYXdzE//+==",
            "&X-Amz-Security-Token=FwoGZXIvYXdzE%2F%2F%2B%3D%3D"
            "&X-Amz-Signature=cd44ffea151b1e037b9551450175f0c769ae782ff070816914059f6b3ded73ab",
        ),
    ],
    ids=["long-term key", "temporary key"],
)
def test_a_presigned_url_is_to_the_letter_the_one_that_botocore_made(token: str | None, rest: str) -> None:
    assert target(PARAMS, session_token=token) == UNSIGNED + rest
