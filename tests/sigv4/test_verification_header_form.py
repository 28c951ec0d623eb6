"""Requests signed in their headers, as botocore signs them and as `sign_headers` does."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, quote_plus, urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from hatchway.sigv4 import (
    HttpRequest,
    IncompleteSignature,
    MissingAuthenticationToken,
    RequestExpired,
    Signature,
    SignatureDoesNotMatch,
    SignatureError,
    UnknownAccessKey,
    WrongScope,
    derive_signing_key,
    read_header_signature,
    sign_headers,
    verify,
)
from hatchway.sigv4.canonical import compute_signature

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)
REGION = "us-east-1"
SERVICES = ("ec2", "iam")

plain = HttpRequest(
    "POST",
    "/",
    "",
    (("Host", "api.example.net:8443"), ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")),
    b"Action=DescribeInstances&Version=2016-11-15",
)


def signed(request: HttpRequest, **changes: Any) -> HttpRequest:
    arguments: dict[str, Any] = {
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET,
        "region": REGION,
        "service": "ec2",
        "now": NOW,
        **changes,
    }
    return replace(request, headers=request.headers + sign_headers(request, **arguments))


def check(request: HttpRequest, *, now: datetime = NOW, secret: str = SECRET) -> Signature:
    signature = read_header_signature(request)
    scope = signature.scope
    key = derive_signing_key(secret, scope.date, scope.region, scope.service)
    verify(request, signature, key, now=now, region=REGION, services=SERVICES)
    return signature


def with_header(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    """The request with that header's value changed, or without it."""
    kept = tuple((n, v) for n, v in request.headers if n.lower() != name.lower())
    return replace(request, headers=kept if value is None else (*kept, (name, value)))


def botocore_signed(
    method: str, url: str, headers: dict[str, str], body: bytes, token: str | None = None
) -> AWSRequest:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        SigV4Auth(Credentials(ACCESS_KEY, SECRET, token), "ec2", REGION).add_auth(request)
    return request


def on_the_wire(request: AWSRequest, path: str, query: str, body: bytes) -> HttpRequest:
    headers = tuple((name, str(value)) for name, value in request.headers.items())
    return HttpRequest(request.method, path, query, (*headers, ("Host", "api.example.net")), body)


def test_a_request_that_we_signed_verifies() -> None:
    signature = check(signed(plain))

    assert signature.access_key_id == ACCESS_KEY
    assert signature.scope.service == "ec2"
    assert signature.signed_at == NOW
    assert signature.signed_headers == ("content-type", "host", "x-amz-date")
    assert signature.expires is None
    assert signature.session_token is None


def test_a_session_token_is_read_and_signed() -> None:
    request = signed(plain, session_token="token//+=")

    assert check(request).session_token == "token//+="
    with pytest.raises(SignatureDoesNotMatch):
        check(with_header(request, "X-Amz-Security-Token", "another"))


texts = st.text(st.characters(codec="utf-8"), max_size=12)
path_text = st.lists(
    st.sampled_from(
        ["/", "//", ".", "..", "a", "B c", "+", "%2F", "%252f", "é", "~", "*", "openTunnel", "=:@"]
    ),
    max_size=8,
).map(lambda parts: "/" + quote("".join(parts), safe="/%+*=:@~"))
header_names = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12).map(
    "X-Test-".__add__
)
header_values = st.text(string.ascii_letters + " ,;=\t/", max_size=20)


@dataclass(frozen=True)
class Sample:
    method: str
    path: str
    params: list[tuple[str, str]]
    plus_for_space: bool
    headers: dict[str, str]
    body: bytes
    token: str | None


samples = st.builds(
    Sample,
    st.sampled_from(["GET", "POST"]),
    path_text,
    st.lists(st.tuples(texts.filter(bool), texts), max_size=6),
    st.booleans(),
    st.dictionaries(header_names, header_values, max_size=4),
    st.binary(max_size=64),
    st.none() | st.text(string.ascii_letters + "+/=", min_size=1),
)


@given(samples)
def test_what_botocore_signs_verifies_and_our_signer_makes_the_same(sample: Sample) -> None:
    # botocore signs a URL's query as it stands, so it is given the canonical encoding of it; a client may
    # then write a space as "+" on the wire, as botocore's own urlencode does.
    url = f"https://api.example.net{sample.path}?{urlencode(sample.params, quote_via=quote, safe='')}"
    theirs = botocore_signed(sample.method, url, sample.headers, sample.body, sample.token)
    query = urlencode(sample.params, quote_via=quote_plus if sample.plus_for_space else quote, safe="")

    signature = check(on_the_wire(theirs, sample.path, query, sample.body))

    assert signature.session_token == sample.token
    headers = (("Host", "api.example.net"), *sample.headers.items())
    unsigned = HttpRequest(sample.method, sample.path, query, headers, sample.body)
    ours = signed(unsigned, session_token=sample.token)
    assert dict(ours.headers)["Authorization"] == theirs.headers["Authorization"]


wrong: dict[str, tuple[HttpRequest, type[SignatureError]]] = {
    "another host": (with_header(signed(plain), "Host", "other.example.net"), SignatureDoesNotMatch),
    "another port": (with_header(signed(plain), "Host", "api.example.net"), SignatureDoesNotMatch),
    "another path": (replace(signed(plain), path="/other"), SignatureDoesNotMatch),
    "another method": (replace(signed(plain), method="GET"), SignatureDoesNotMatch),
    "a query that was not there": (replace(signed(plain), query="a=b"), SignatureDoesNotMatch),
    "a changed parameter": (
        replace(signed(plain), body=plain.body.replace(b"Instances", b"Vpcs")),
        SignatureDoesNotMatch,
    ),
    "another content type": (
        with_header(signed(plain), "Content-Type", "application/json"),
        SignatureDoesNotMatch,
    ),
    "a signed header taken away": (with_header(signed(plain), "Content-Type", None), SignatureDoesNotMatch),
    "another date": (with_header(signed(plain), "X-Amz-Date", "20261124T061724Z"), SignatureDoesNotMatch),
    "no date": (with_header(signed(plain), "X-Amz-Date", None), IncompleteSignature),
    "a date that is none": (
        with_header(signed(plain), "X-Amz-Date", "20261324T061724Z"),
        IncompleteSignature,
    ),
    "the 24th hour": (with_header(signed(plain), "X-Amz-Date", "20261124T240000Z"), IncompleteSignature),
    "an added x-amz header": (
        with_header(signed(plain), "X-Amz-Target", "Service.Operation"),
        IncompleteSignature,
    ),
    "an unsigned payload": (
        signed(with_header(plain, "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")),
        SignatureDoesNotMatch,
    ),
    "the hash of another payload": (
        signed(with_header(plain, "X-Amz-Content-Sha256", "0" * 64)),
        SignatureDoesNotMatch,
    ),
    "two Host headers": (
        replace(signed(plain), headers=(*signed(plain).headers, ("host", "api.example.net:8443"))),
        SignatureDoesNotMatch,
    ),
    "two Authorization headers": (
        replace(signed(plain), headers=signed(plain).headers + signed(plain).headers[-1:]),
        IncompleteSignature,
    ),
    "two dates": (
        replace(signed(plain), headers=(*signed(plain).headers, ("x-amz-date", "20261124T061723Z"))),
        IncompleteSignature,
    ),
    "a second signature in the URL": (
        signed(replace(plain, query="X-Amz-Signature=" + "0" * 64)),
        IncompleteSignature,
    ),
    "no signature": (plain, MissingAuthenticationToken),
    "basic authentication": (with_header(plain, "Authorization", "Basic YTpi"), IncompleteSignature),
    "another service's scope": (signed(plain, service="s3"), WrongScope),
    "another region's scope": (signed(plain, region="eu-west-1"), WrongScope),
    "another secret": (signed(plain, secret_access_key="other"), SignatureDoesNotMatch),
    "signed 5 minutes and a second ago": (
        signed(plain, now=NOW - timedelta(minutes=5, seconds=1)),
        RequestExpired,
    ),
    "signed 5 minutes and a second from now": (
        signed(plain, now=NOW + timedelta(minutes=5, seconds=1)),
        RequestExpired,
    ),
    "signed when dates begin": (signed(plain, now=datetime(1000, 1, 1, tzinfo=UTC)), RequestExpired),
    "signed when dates end": (
        signed(plain, now=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        RequestExpired,
    ),
}


@pytest.mark.parametrize("case", wrong)
def test_a_request_that_is_wrong_is_refused(case: str) -> None:
    request, error = wrong[case]

    with pytest.raises(error) as refusal:
        check(request)

    assert type(refusal.value) is error
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_clock_may_be_five_minutes_off(seconds: int) -> None:
    check(signed(plain, now=NOW + timedelta(seconds=seconds)))


def authorization(value: str) -> HttpRequest:
    return with_header(signed(plain), "Authorization", value)


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        ("SignedHeaders=host;x-amz-date, Signature=" + "0" * 64, ("Credential",)),
        ("Credential=A/20261124/us-east-1/ec2/aws4_request, Signature=" + "0" * 64, ("SignedHeaders",)),
        ("Credential=A/20261124/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date", ("Signature",)),
        ("", ("Credential", "SignedHeaders", "Signature")),
        ("Credential=A/20261124/us-east-1/ec2, SignedHeaders=host, Signature=" + "0" * 64, ("Credential",)),
    ],
)
def test_an_incomplete_signature_says_what_is_missing(parts: str, missing: tuple[str, ...]) -> None:
    with pytest.raises(IncompleteSignature) as refusal:
        check(authorization(f"AWS4-HMAC-SHA256 {parts}"))

    assert refusal.value.missing == missing


good_parts = {
    "Credential": f"{ACCESS_KEY}/20261124/us-east-1/ec2/aws4_request",
    "SignedHeaders": "content-type;host;x-amz-date",
    "Signature": "0" * 64,
}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("Credential", f"{ACCESS_KEY}/2026112/us-east-1/ec2/aws4_request"),
        ("Credential", f"{ACCESS_KEY}//us-east-1/ec2/aws4_request"),
        ("Credential", "/20261124/us-east-1/ec2/aws4_request"),
        ("Credential", f"{'A' * 129}/20261124/us-east-1/ec2/aws4_request"),
        ("Credential", f"{ACCESS_KEY}/20261124/us-east-1\n/ec2/aws4_request"),
        ("Credential", f"{ACCESS_KEY}/20261124/us-east-1/ec2/aws5_request"),
        ("SignedHeaders", "Content-Type;Host;X-Amz-Date"),
        ("SignedHeaders", "host;content-type;x-amz-date"),
        ("SignedHeaders", "host;host;x-amz-date"),
        ("SignedHeaders", ";host;x-amz-date"),
        ("Signature", "0" * 63),
        ("Signature", "Z" * 64),
        ("Signature", "\u0660" * 64),
    ],
)
def test_a_malformed_part_is_an_incomplete_signature(part: str, value: str) -> None:
    parts = good_parts | {part: value}

    with pytest.raises(IncompleteSignature):
        check(authorization("AWS4-HMAC-SHA256 " + ", ".join(f"{k}={v}" for k, v in parts.items())))


@pytest.mark.parametrize("extra", [", Signature=" + "1" * 64, ", Extra=1"])
def test_parts_that_are_repeated_or_unknown_are_refused(extra: str) -> None:
    parts = ", ".join(f"{k}={v}" for k, v in good_parts.items())

    with pytest.raises(IncompleteSignature):
        check(authorization(f"AWS4-HMAC-SHA256 {parts}{extra}"))


def test_a_host_that_is_not_signed_is_refused() -> None:
    parts = good_parts | {"SignedHeaders": "content-type;x-amz-date"}

    with pytest.raises(IncompleteSignature) as refusal:
        check(authorization("AWS4-HMAC-SHA256 " + ", ".join(f"{k}={v}" for k, v in parts.items())))

    assert refusal.value.missing == ("host",)


def test_parts_may_follow_each_other_without_a_space() -> None:
    request = signed(plain)

    check(with_header(request, "Authorization", dict(request.headers)["Authorization"].replace(", ", ",")))


def test_a_client_that_sends_only_a_date_header_is_understood() -> None:
    theirs = botocore_signed("POST", "https://api.example.net/", {"Date": "now"}, b"a=b")
    request = on_the_wire(theirs, "/", "", b"a=b")
    assert "X-Amz-Date" not in theirs.headers

    assert check(request).signed_at == NOW


def test_an_unknown_key_is_refused_as_such_though_the_signature_is_right() -> None:
    request = signed(plain)

    with pytest.raises(UnknownAccessKey) as refusal:
        verify(request, read_header_signature(request), None, now=NOW, region=REGION, services=SERVICES)

    assert refusal.value.access_key_id == ACCESS_KEY
    assert refusal.value.code == "InvalidClientTokenId"


def test_an_unknown_key_with_a_wrong_scope_is_told_no_more_than_a_known_one() -> None:
    request = signed(plain, region="eu-west-1")

    with pytest.raises(WrongScope):
        verify(request, read_header_signature(request), None, now=NOW, region=REGION, services=SERVICES)


def test_the_repr_of_a_request_and_of_a_signature_hold_no_secret() -> None:
    request = signed(plain, session_token="secret-token")
    signature = read_header_signature(request)

    for text in (repr(request), repr(signature)):
        assert "secret-token" not in text
        assert signature.signature not in text


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5), st.text(), st.text(), st.binary(max_size=20))
def test_no_request_at_all_makes_it_fail_otherwise(
    headers: list[tuple[str, str]], path: str, query: str, body: bytes
) -> None:
    request = HttpRequest("POST", path, query, (*headers, *signed(plain).headers), body)

    with pytest.raises(SignatureError):
        check(request)


@given(st.text(), st.text())
def test_no_authorization_header_and_date_make_it_fail_otherwise(value: str, date: str) -> None:
    request = with_header(authorization("AWS4-HMAC-SHA256 " + value), "X-Amz-Date", None)

    with pytest.raises(SignatureError):
        check(with_header(request, "Date", date))


def test_an_unknown_key_costs_what_a_wrong_signature_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[bytes] = []

    def counting(signing_key: bytes, **parts: Any) -> str:
        computed.append(signing_key)
        return compute_signature(signing_key, **parts)

    monkeypatch.setattr("hatchway.sigv4.verification.compute_signature", counting)
    request = signed(plain)
    signature = read_header_signature(request)

    for key, error in ((None, UnknownAccessKey), (b"wrong" * 6, SignatureDoesNotMatch)):
        with pytest.raises(error):
            verify(request, signature, key, now=NOW, region=REGION, services=SERVICES)

    assert [len(key) for key in computed] == [32, 30]
