"""Requests signed in their headers: what is accepted, and what is refused as what."""

from __future__ import annotations

import hashlib
import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sigv4.header_form import (
    ACCESS_KEY,
    NOW,
    REGION,
    SECRET,
    SERVICES,
    authorization,
    check,
    plain,
    signed,
    with_header,
)

from hatchway.sigv4.canonical import compute_signature
from hatchway.sigv4.errors import (
    IncompleteSignature,
    MissingAuthenticationToken,
    RequestExpired,
    SignatureDoesNotMatch,
    SignatureError,
    UnknownAccessKey,
    WrongScope,
)
from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_header_signature
from hatchway.sigv4.verification import verify


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


@pytest.mark.parametrize(
    ("part", "given", "expected", "request_"),
    [
        (
            "date",
            "20261124",
            "20261125",
            with_header(signed(plain), "X-Amz-Date", "20261125T061723Z"),
        ),
        ("region", "eu-west-1", "us-east-1", signed(plain, region="eu-west-1")),
        ("service", "s3", "ec2 or iam", signed(plain, service="s3")),
    ],
)
def test_a_wrong_scope_says_which_part_of_it_and_what_it_should_be(
    part: str, given: str, expected: str, request_: HttpRequest
) -> None:
    with pytest.raises(WrongScope) as refusal:
        check(request_)

    assert (refusal.value.part, refusal.value.given) == (part, given)
    assert str(refusal.value) == f"Credential should be scoped to {part} {expected}, not '{given}'."


def test_a_hash_that_is_not_the_bodys_is_said_to_be_none() -> None:
    text = "x-amz-content-sha256 is not the SHA-256 of the request's body."

    with pytest.raises(SignatureDoesNotMatch, match=f"^{re.escape(text)}$"):
        check(signed(with_header(plain, "X-Amz-Content-Sha256", "0" * 64)))


def test_the_hash_of_a_body_that_is_yet_to_come_is_taken_as_it_is_given() -> None:
    request = signed(plain)
    signature = read_header_signature(request)
    key = derive_signing_key(SECRET, "20261124", REGION, "ec2")
    headers_alone = replace(request, body=b"")

    for body, verifies in ((plain.body, True), (b"", False), (plain.body + b" ", False)):
        with nullcontext() if verifies else pytest.raises(SignatureDoesNotMatch):
            verify(
                headers_alone,
                signature,
                key,
                now=NOW,
                region=REGION,
                services=SERVICES,
                payload_hash=hashlib.sha256(body).hexdigest(),
            )


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_clock_may_be_five_minutes_off(seconds: int) -> None:
    check(signed(plain, now=NOW + timedelta(seconds=seconds)))


def test_a_host_that_is_not_signed_is_refused() -> None:
    header = dict(signed(plain).headers)["Authorization"]

    with pytest.raises(IncompleteSignature) as refusal:
        check(authorization(header.replace("content-type;host;", "content-type;")))

    assert refusal.value.missing == ("host",)


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


def test_a_parameter_without_a_name_is_signed_as_any_other() -> None:
    check(signed(replace(plain, query="=a&b=c", read=None)))
