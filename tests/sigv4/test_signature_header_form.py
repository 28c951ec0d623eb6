"""What is read of a signature in the headers, before anything is verified."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.sigv4.header_form import (
    ACCESS_KEY,
    NOW,
    authorization,
    botocore_signed,
    on_the_wire,
    plain,
    signed,
    with_header,
)

from hatchway.sigv4.errors import IncompleteSignature, MissingAuthenticationToken
from hatchway.sigv4.keys import Scope
from hatchway.sigv4.signature import read_header_signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.sigv4.request import HttpRequest

good_parts = {
    "Credential": f"{ACCESS_KEY}/20261124/us-east-1/ec2/aws4_request",
    "SignedHeaders": "content-type;host;x-amz-date",
    "Signature": "0" * 64,
}


def joined(parts: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parts.items())


def test_its_repr_holds_no_secret() -> None:
    signature = read_header_signature(signed(plain, session_token="secret-token"))

    assert "secret-token" not in repr(signature)
    assert signature.signature not in repr(signature)


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
        read_header_signature(authorization(f"AWS4-HMAC-SHA256 {parts}"))

    assert refusal.value.missing == missing


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
        ("SignedHeaders", "HOST"),
        ("SignedHeaders", ";host;x-amz-date"),
        ("Signature", "0" * 63),
        ("Signature", "Z" * 64),
        ("Signature", "\u0660" * 64),
    ],
)
def test_a_malformed_part_is_an_incomplete_signature(part: str, value: str) -> None:
    parts = good_parts | {part: value}

    with pytest.raises(IncompleteSignature):
        read_header_signature(
            authorization("AWS4-HMAC-SHA256 " + ", ".join(f"{k}={v}" for k, v in parts.items()))
        )


@pytest.mark.parametrize("extra", [", Signature=" + "1" * 64, ", Extra=1"])
def test_parts_that_are_repeated_or_unknown_are_refused(extra: str) -> None:
    with pytest.raises(IncompleteSignature):
        read_header_signature(authorization(f"AWS4-HMAC-SHA256 {joined(good_parts)}{extra}"))


def test_parts_may_follow_each_other_without_a_space() -> None:
    request = signed(plain)

    read_header_signature(
        with_header(request, "Authorization", dict(request.headers)["Authorization"].replace(", ", ","))
    )


def test_a_client_that_sends_only_a_date_header_is_understood() -> None:
    theirs = botocore_signed("POST", "https://api.example.net/", {"Date": "now"}, b"a=b")
    request = on_the_wire(theirs, "/", "", b"a=b")
    assert "X-Amz-Date" not in theirs.headers

    assert read_header_signature(request).signed_at == NOW


@pytest.mark.parametrize(
    "date",
    [
        "Tue, 24 Nov 2026 06:17:23 GMT",
        "Tue, 24 Nov 2026 06:17:23 -0000",
        "Tue, 24 Nov 2026 08:17:23 +0200",
    ],
)
def test_without_an_x_amz_date_the_date_counts_in_utc(date: str) -> None:
    request = with_header(with_header(signed(plain), "X-Amz-Date", None), "Date", date)

    signature = read_header_signature(request)

    assert signature.signed_at == NOW
    assert signature.timestamp == "20261124T061723Z"


def test_an_x_amz_date_wins_over_a_date() -> None:
    request = with_header(signed(plain), "Date", "Tue, 24 Nov 2026 09:00:00 GMT")

    assert read_header_signature(request).signed_at == NOW


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_a_date_is_in_utc_wherever_the_server_stands(zone: str) -> None:
    date = f"Tue, 24 Nov 2026 06:17:23 {zone}"
    request = with_header(with_header(signed(plain), "X-Amz-Date", None), "Date", date)

    assert read_header_signature(request).signed_at == NOW


def test_all_that_the_headers_say_is_read() -> None:
    request = signed(plain, session_token="to/ken+=")

    signature = read_header_signature(request)

    assert signature.access_key_id == ACCESS_KEY
    assert signature.scope == Scope("20261124", "us-east-1", "ec2")
    assert signature.signed_headers == ("content-type", "host", "x-amz-date", "x-amz-security-token")
    assert dict(request.headers)["Authorization"].endswith(f"Signature={signature.signature}")
    assert (signature.timestamp, signature.signed_at, signature.expires) == ("20261124T061723Z", NOW, None)
    assert signature.session_token == "to/ken+="


def test_a_request_may_do_without_a_session_token() -> None:
    assert read_header_signature(signed(plain)).session_token is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "Authorization header requires 'Credential', 'SignedHeaders', 'Signature'."),
        (
            joined(good_parts) + f", {'x' * 100}=1, {'x' * 100}=1",
            f"Authorization header has '{'x' * 64}' more than once.",
        ),
        (
            joined(good_parts) + ", Extra=1",
            "Authorization header has parts other than 'Credential', 'SignedHeaders', 'Signature'.",
        ),
        (
            joined(good_parts | {"Credential": "A=B/20261124/us-east-1/ec2/aws4_request"}),
            "Credential has a malformed access key id, date, region or service.",
        ),
        (
            joined(good_parts | {"SignedHeaders": "host;host"}),
            "SignedHeaders must be lower-case header names, sorted, each once.",
        ),
        (
            joined(good_parts | {"Signature": "0" * 63}),
            "Signature must be 64 lower-case hexadecimal digits.",
        ),
    ],
    ids=["nothing", "twice", "unknown", "credential", "header names", "signature"],
)
def test_what_is_wrong_with_a_part_is_said_in_so_many_words(value: str, text: str) -> None:
    with pytest.raises(IncompleteSignature, match=f"^{re.escape(text)}$"):
        read_header_signature(authorization(f"AWS4-HMAC-SHA256 {value}"))


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            with_header(signed(plain), "X-Amz-Date", "20261324T061724Z"),
            r"^X-Amz-Date must be YYYYMMDD'T'HHMMSS'Z'\.$",
        ),
        (
            with_header(signed(plain), "X-Amz-Date", "20261124T240000Z"),
            r"^X-Amz-Date must be YYYYMMDD'T'HHMMSS'Z'\.$",
        ),
        (
            with_header(with_header(signed(plain), "X-Amz-Date", None), "Date", "today"),
            r"^Date must be as RFC 9110 has it, in GMT\.$",
        ),
        (with_header(signed(plain), "X-Amz-Date", None), "requires 'X-Amz-Date'"),
        (replace(signed(plain), headers=signed(plain).headers + signed(plain).headers[-1:]), "more than one"),
        (
            signed(replace(plain, query="X-Amz-Signature=1")),
            r"^A request may be signed in its headers or in its URL, not in both\.$",
        ),
        (with_header(plain, "Authorization", "Basic YTpi"), "only signing algorithm"),
    ],
    ids=["no month", "no hour", "no date", "none", "two headers", "two forms", "another scheme"],
)
def test_what_cannot_be_read_is_said(request_: HttpRequest, text: str) -> None:
    with pytest.raises(IncompleteSignature, match=text):
        read_header_signature(request_)


def test_without_the_header_there_is_no_signature() -> None:
    with pytest.raises(MissingAuthenticationToken):
        read_header_signature(plain)
