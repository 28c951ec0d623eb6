"""What is printed of others' words: printable, bounded, and without a proxy's password."""

import asyncio
from datetime import UTC, datetime, timedelta
from unittest.mock import MagicMock

import pytest

from hatchway.client.connection.tls import Trust
from hatchway.client.discovery.plan import Route
from hatchway.client.errors import ApiError, ClientError, TunnelClosed, TunnelRefused, printable
from hatchway.client.tunnel.tunnel import _connect
from hatchway.gateway.tunnel import closures
from hatchway.sigv4.errors import RequestExpired
from hatchway.transport.websocket.close import Closure

SECRET = "hunter2"


def test_control_characters_are_shown_as_such_and_long_texts_cut() -> None:
    assert printable("a\x1b[2Jb\n") == "a\ufffd[2Jb\ufffd"
    assert printable("x" * 2000) == "x" * 1000


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@127.0.0.1:3128",
        f"user:{SECRET}@127.0.0.1:3128",
        f"http:/user:{SECRET}@127.0.0.1:3128",
        f"ftp://user:{SECRET}@127.0.0.1",
        f"http://user:a@{SECRET}@127.0.0.1:port",
        f"http://:{SECRET}@[::1",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_no_proxys_password_is_printed_however_its_url_is_spelt(
    variable: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, url)
    told = printable(f'Failed to connect to proxy URL: "http://{url}"')
    assert SECRET not in told
    assert "127.0.0.1" in told or "[::1" in told


@pytest.mark.parametrize(
    "url",
    [f"ftp://user:{SECRET}@127.0.0.1:1", f"http://user:{SECRET}@127.0.0.1:port", f"http://{SECRET}@[::1"],
)
def test_a_proxy_that_is_none_is_told_of_in_a_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    monkeypatch.setenv("NO_PROXY", "")
    route = Route(dns_name="gateway.example", port=443)
    with pytest.raises(ClientError) as raised:
        asyncio.run(_connect(route, "/openTunnel", Trust(None), MagicMock(), None))
    assert SECRET not in str(raised.value)


def test_a_proxy_without_a_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    assert printable("no answer from http://127.0.0.1:3128") == "no answer from http://127.0.0.1:3128"


ENDS = [
    closures.GATEWAY_STOPPING,
    closures.TARGET_UNREACHABLE,
    closures.OUT_OF_TOUCH,
    closures.ACCESS_REVOKED,
    closures.TERMINATED,
    closures.duration_reached(600),
    closures.idle_limit_reached(900),
    Closure(4029, "Too many tunnels of this principal"),
    Closure(1006, "the connection to the gateway was lost"),
]


@pytest.mark.parametrize("closure", ENDS, ids=lambda closure: str(closure.code))
def test_each_end_of_a_tunnel_says_in_a_line_why_under_which_id_and_what_to_do(closure: Closure) -> None:
    said = str(TunnelClosed(closure.code, closure.reason, "5d2c"))
    assert said.startswith(f"tunnel closed: {closure.reason} (request id 5d2c): ")
    assert "\n" not in said
    assert len(said.rpartition("): ")[2]) > 10


def test_an_end_that_nobody_here_knows_of_is_told_as_it_came() -> None:
    assert str(TunnelClosed(4999, "Something new", "1")) == "tunnel closed: Something new (request id 1)"
    # Not every end with this code is the host's fault.
    assert str(TunnelClosed(1011, "not recorded")) == "tunnel closed: not recorded"


@pytest.mark.parametrize(
    "error",
    [
        ApiError("DescribeInstances", "ExpiredToken", "expired", "1"),
        ApiError("DescribeInstances", "AuthFailure", "The security token included in the request is expired"),
        TunnelRefused(403, "ExpiredToken", "The security token included in the request is expired", "1"),
    ],
)
def test_whoever_has_credentials_that_have_expired_is_told_to_renew_them(error: ClientError) -> None:
    assert "renew your credentials" in str(error)


@pytest.mark.parametrize(
    ("code", "to_do"),
    [
        ("AuthException", "or ask your Hatchway administrator for the permission"),
        ("UnauthorizedOperation", "or ask your Hatchway administrator for the permission"),
        ("AuthFailure", "check the access key and the region of the profile"),
        ("InvalidClientTokenId", "check the access key and the region of the profile"),
    ],
)
def test_what_the_api_refuses_is_told_with_what_to_do(code: str, to_do: str) -> None:
    told = str(ApiError("DescribeInstances", code, "No.", "5d2c"))
    assert told.startswith(f"DescribeInstances: {code}: No. (request id 5d2c): ")
    assert to_do in told


@pytest.mark.parametrize(
    ("code", "to_do"),
    [
        ("SignatureDoesNotMatch", "check the access key"),
        ("InvalidClientTokenId", "check the access key"),
        ("RequestExpired", "set this machine's clock"),
        ("ExpiredToken", "renew your credentials"),
    ],
)
def test_a_gateway_that_does_not_know_the_caller_says_what_to_do(code: str, to_do: str) -> None:
    assert f" (request id 5d2c): {to_do}" in str(TunnelRefused(403, code, "It is so.", "5d2c"))


@pytest.mark.parametrize("code", ["AuthFailure", "RequestExpired"])
def test_a_signature_that_is_refused_for_its_age_is_no_matter_of_the_key(code: str) -> None:
    now = datetime.now(UTC)
    said = str(ApiError("DescribeInstances", code, str(RequestExpired(now, now + timedelta(days=3)))))
    assert said.endswith(": set this machine's clock ('hatchway doctor' tells by how much it is off)")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        # Of EC2, of any other service, and of EC2 Instance Connect.
        ("RequestExpired", "Request has expired"),
        ("ExpiredToken", "The security token included in the request is expired"),
        ("ExpiredTokenException", "The security token included in the request is expired"),
    ],
)
def test_credentials_that_have_expired_are_to_be_renewed_whatever_service_says_so(
    code: str, message: str
) -> None:
    assert "(request id 5d2c): renew your credentials" in str(ApiError("Any", code, message, "5d2c"))


@pytest.mark.parametrize("code", ["InvalidAction", "UnknownOperationException", "UnknownService"])
def test_what_an_older_server_does_not_have_is_said_to_be_so(code: str) -> None:
    assert ": the server is older than this command" in str(ApiError("LookupEvents", code, "It is unknown."))


def test_whoever_may_not_have_a_denial_explained_is_not_told_to_have_that_explained() -> None:
    said = str(ApiError("ExplainDenial", "AccessDeniedException", "User: … is not authorized", "5d2c"))
    assert said.endswith("ask your Hatchway administrator why, and give the request id that you asked about")
