"""Presigned URLs: what is accepted, and what is refused as what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sigv4.query_form import (
    ACCESS_KEY,
    HOST,
    NOW,
    SECRET,
    check,
    get,
    target,
    without,
)

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
from hatchway.sigv4.signature import read_query_signature
from hatchway.sigv4.verification import verify


def test_a_presigned_url_verifies() -> None:
    signature = check(get(target(session_token="to/ken+=")))

    assert signature.access_key_id == ACCESS_KEY
    assert signature.expires == 60
    assert signature.signed_headers == ("host",)
    assert signature.session_token == "to/ken+="


def replaced(old: str, new: str) -> HttpRequest:
    text = target()
    assert old in text
    return get(text.replace(old, new))


wrong: dict[str, tuple[HttpRequest, type[SignatureError]]] = {
    "another host": (get(target(), "other.example.net"), SignatureDoesNotMatch),
    "another port": (get(target(), HOST + ":444"), SignatureDoesNotMatch),
    "another path": (replaced("/openTunnel", "/openTunne1"), SignatureDoesNotMatch),
    "a changed port": (replaced("remotePort=22", "remotePort=23"), SignatureDoesNotMatch),
    "a changed address": (replaced("10.0.1.1", "10.0.1.2"), SignatureDoesNotMatch),
    "a parameter taken away": (without("maxTunnelDuration"), SignatureDoesNotMatch),
    "a parameter added": (get(target() + "&extra=1"), SignatureDoesNotMatch),
    "a parameter repeated": (get(target() + "&remotePort=22"), IncompleteSignature),
    "a parameter repeated in another encoding": (get(target() + "&remote%50ort=3389"), IncompleteSignature),
    "two signatures": (get(target() + "&X-Amz-Signature=" + "0" * 64), IncompleteSignature),
    "a token added": (get(target() + "&X-Amz-Security-Token=t"), SignatureDoesNotMatch),
    "a longer life": (replaced("X-Amz-Expires=60", "X-Amz-Expires=600"), SignatureDoesNotMatch),
    "a life of nothing": (replaced("X-Amz-Expires=60", "X-Amz-Expires=0"), IncompleteSignature),
    "a life of over a week": (get(target(expires=604_801)), IncompleteSignature),
    "a life before it began": (replaced("X-Amz-Expires=60", "X-Amz-Expires=-1"), IncompleteSignature),
    "a life that is no number": (replaced("X-Amz-Expires=60", "X-Amz-Expires=%D9%A1"), IncompleteSignature),
    "another algorithm": (replaced("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), IncompleteSignature),
    "a later date": (replaced("20261124T061723Z", "20261124T061724Z"), SignatureDoesNotMatch),
    "a date that is none": (replaced("20261124T061723Z", "20261124T0617"), IncompleteSignature),
    "a date of another day than the scope's": (replaced("20261124T061723Z", "20261123T061723Z"), WrongScope),
    "the scope of another service": (get(target(service="ec2")), WrongScope),
    "the scope of another region": (get(target(region="eu-west-1")), WrongScope),
    "another access key": (replaced(ACCESS_KEY, "AKIAIOSFODNN7EXAMPLF"), SignatureDoesNotMatch),
    "another secret": (get(target(secret_access_key="other")), SignatureDoesNotMatch),
    "an unsigned x-amz header": (get(target(), headers=(("X-Amz-Target", "x"),)), IncompleteSignature),
    "two Host headers": (get(target(), headers=(("host", HOST),)), SignatureDoesNotMatch),
    "an Authorization header besides": (
        get(target(), headers=(("Authorization", "AWS4-HMAC-SHA256 x"),)),
        IncompleteSignature,
    ),
    "a host that is not signed": (
        replaced("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=upgrade"),
        IncompleteSignature,
    ),
    "a header signed that is not there": (
        replaced("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Borigin"),
        SignatureDoesNotMatch,
    ),
    "a body": (get(target(), body=b"x"), SignatureDoesNotMatch),
    "no signature at all": (get("/openTunnel?remotePort=22"), MissingAuthenticationToken),
    "no query": (get("/openTunnel"), MissingAuthenticationToken),
}


@pytest.mark.parametrize("case", wrong)
def test_a_presigned_url_that_is_wrong_is_refused(case: str) -> None:
    request, error = wrong[case]

    with pytest.raises(error) as refusal:
        check(request)

    assert type(refusal.value) is error
    assert SECRET not in str(refusal.value)


def test_a_body_is_said_to_be_too_much() -> None:
    with pytest.raises(
        SignatureDoesNotMatch, match=r"^A request with a presigned URL may not have a body\.$"
    ):
        check(get(target(), body=b"x"))


@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(-301, False), (-300, True), (0, True), (60, True), (61, True), (360, True), (361, False)],
)
def test_a_url_lives_from_the_skew_before_its_date_to_the_skew_after_its_end(
    seconds: int, accepted: bool
) -> None:
    now = NOW + timedelta(seconds=seconds)

    if accepted:
        check(get(target()), now=now)
    else:
        with pytest.raises(RequestExpired):
            check(get(target()), now=now)


def test_a_url_may_live_a_week() -> None:
    week = get(target(expires=604_800))
    check(week, now=NOW + timedelta(days=7, minutes=5))
    with pytest.raises(RequestExpired):
        check(week, now=NOW + timedelta(days=7, minutes=5, seconds=1))


def test_a_url_of_one_second_outlives_a_clock_that_is_slow() -> None:
    check(get(target(expires=1)), now=NOW + timedelta(seconds=301))
    with pytest.raises(RequestExpired):
        check(get(target(expires=1)), now=NOW + timedelta(seconds=302))


def test_the_order_of_the_parameters_does_not_matter() -> None:
    path, _, query = target().partition("?")

    check(get(path + "?" + "&".join(reversed(query.split("&")))))


def test_a_plus_is_read_as_a_space_as_the_parameters_are() -> None:
    spaced = target({"name": "a b"})
    assert "name=a%20b" in spaced

    check(get(spaced.replace("a%20b", "a+b")))
    with pytest.raises(SignatureDoesNotMatch):
        check(get(target({"name": "a+b"}).replace("a%2Bb", "a+b")))


def test_an_unknown_key_is_refused_as_such() -> None:
    request = get(target())

    with pytest.raises(UnknownAccessKey):
        verify(
            request,
            read_query_signature(request),
            None,
            now=NOW,
            region="us-east-1",
            services=("ec2-instance-connect",),
        )


@given(st.text(), st.text())
def test_no_query_string_at_all_makes_it_fail_otherwise(path: str, query: str) -> None:
    with pytest.raises(SignatureError):
        check(HttpRequest("GET", path, query, (("Host", HOST),)))


@given(st.sampled_from(target().split("?")[1].split("&")), st.text())
def test_no_value_of_a_parameter_makes_it_fail_otherwise(pair: str, value: str) -> None:
    name = pair.split("=", maxsplit=1)[0]
    request = get(target().replace(pair, f"{name}={value}"))

    if f"{name}={value}" != pair:
        with pytest.raises(SignatureError):
            check(request)


def test_what_is_asked_for_the_signature_first_is_compared_with() -> None:
    request = get(target())
    signature = read_query_signature(request)
    key = derive_signing_key(SECRET, "20261124", "us-east-1", "ec2-instance-connect")
    told: dict[str, Any] = {"now": NOW, "region": "us-east-1", "services": ("ec2-instance-connect",)}

    asked: list[tuple[bytes, str]] = []

    def digest(*of: Any) -> str:
        asked.append(of)
        return signature.signature

    signed = signature._replace(told="what is signed")
    verify(request, signed, b"wrong" * 6, **told, keyed_digest=digest)
    with pytest.raises(SignatureDoesNotMatch):
        verify(request, signed, key, **told, keyed_digest=lambda *_: "0" * 64)
    with pytest.raises(UnknownAccessKey):
        verify(request, signed, None, **told, keyed_digest=digest)

    assert asked == [(b"wrong" * 6, "what is signed"), (bytes(32), "what is signed")]


def test_nobody_is_asked_for_a_signature_without_what_is_signed_nor_is_that_of_use_without_him() -> None:
    request = get(target())
    signature = read_query_signature(request)
    key = derive_signing_key(SECRET, "20261124", "us-east-1", "ec2-instance-connect")
    told: dict[str, Any] = {"now": NOW, "region": "us-east-1", "services": ("ec2-instance-connect",)}

    verify(request, signature, key, **told, keyed_digest=lambda *_: "0" * 64)
    verify(request, signature._replace(told="something else"), key, **told)
