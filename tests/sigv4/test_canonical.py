"""The canonical form of paths, queries and headers, and the signature over them."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.sigv4.canonical import (
    canonical_headers,
    canonical_path,
    canonical_query,
    compute_signature,
    hmac_sha256,
    percent_encode,
)
from hatchway.sigv4.errors import IncompleteSignature, SignatureDoesNotMatch
from hatchway.sigv4.keys import Scope, derive_signing_key
from hatchway.sigv4.query import query_pairs


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("", ""),
        ("a", "a="),
        ("a=", "a="),
        ("b=1&a=2", "a=2&b=1"),
        ("a=b&a=a", "a=a&a=b"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("a=1=2", "a=1%3D2"),
        ("a=1+2", "a=1%202"),
        ("&&a=1&", "a=1"),
        ("Z=1&a=1&%C3%A9=1", "%C3%A9=1&Z=1&a=1"),
    ],
)
def test_queries_are_sorted_by_encoded_name_then_value(query: str, canonical: str) -> None:
    assert canonical_query(query_pairs(query)) == canonical


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/a//b/", "/a/b/"),
        ("/openTunnel", "/openTunnel"),
        ("/a.b/~c-d_e/9", "/a.b/~c-d_e/9"),
        ("/a/./b/../c", "/a/c"),
        ("/a/.b", "/a/.b"),
        ("/a/..", "/"),
        ("a", "a"),
        ("/../..", "/"),
        ("/a%2Fb", "/a%252Fb"),
        ("/a b~*", "/a%20b~%2A"),
    ],
)
def test_paths_lose_dot_segments_and_are_encoded_once_more(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


@given(key=st.binary(max_size=64), message=st.binary(max_size=300))
def test_the_signature_of_a_text_is_its_hmac(key: bytes, message: bytes) -> None:
    assert hmac_sha256(key, message) == hmac.new(key, message, hashlib.sha256).hexdigest()


def test_only_unreserved_characters_stay_as_they_are() -> None:
    assert percent_encode("Az09-._~ /+*é") == "Az09-._~%20%2F%2B%2A%C3%A9"


HEADERS = (("Host", "api.example.net"), ("X-Amz-Date", "20150830T123600Z"), ("Accept", "a"))


def test_signed_headers_are_lines_in_the_order_of_their_names_and_others_are_not_there() -> None:
    lines = "host:api.example.net\nx-amz-date:20150830T123600Z\n"

    assert canonical_headers(HEADERS, ("host", "x-amz-date")) == lines
    assert canonical_headers(HEADERS, ("accept", "host", "x-amz-date")) == f"accept:a\n{lines}"


def test_space_around_and_within_a_value_counts_as_one_and_repeated_headers_are_joined() -> None:
    headers = (("Host", " h "), ("ACCEPT", "  a   b\t"), ("accept", "c"))

    assert canonical_headers(headers, ("accept", "host")) == "accept:a b,c\nhost:h\n"


def test_the_host_must_be_signed() -> None:
    with pytest.raises(IncompleteSignature) as refusal:
        canonical_headers(HEADERS, ("x-amz-date",))

    assert refusal.value.missing == ("host",)
    assert str(refusal.value) == "'Host' must be a 'SignedHeader' in the AWS Authorization."


def test_every_x_amz_header_must_be_signed() -> None:
    headers = (*HEADERS, ("X-Amz-" + "N" * 100, ""))

    with pytest.raises(IncompleteSignature) as refusal:
        canonical_headers(headers, ("host", "x-amz-date"))

    assert refusal.value.missing == ("x-amz-" + "n" * 58,)
    assert str(refusal.value) == (
        "Every x-amz-* header of the request must be a 'SignedHeader' in the AWS Authorization."
    )


def test_a_request_has_one_host() -> None:
    with pytest.raises(SignatureDoesNotMatch, match=r"^The request has more than one Host header\.$"):
        canonical_headers((*HEADERS, ("host", "api.example.net")), ("host", "x-amz-date"))


def test_what_was_signed_must_be_there() -> None:
    with pytest.raises(
        SignatureDoesNotMatch, match=r"^A header named in SignedHeaders is not in the request\.$"
    ):
        canonical_headers(HEADERS, ("host", "x-amz-date", "x-amz-target"))


def test_the_signature_is_the_one_in_aws_documentation() -> None:
    # AWS General Reference, the ListUsers example of "Signature Version 4 signing process".
    signature = compute_signature(
        derive_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam"),
        method="GET",
        path="/",
        parameters=(("Action", "ListUsers"), ("Version", "2010-05-08")),
        headers=(
            "content-type:application/x-www-form-urlencoded; charset=utf-8\n"
            "host:iam.amazonaws.com\n"
            "x-amz-date:20150830T123600Z\n"
        ),
        signed_headers=("content-type", "host", "x-amz-date"),
        payload_hash="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        timestamp="20150830T123600Z",
        scope=Scope("20150830", "us-east-1", "iam"),
    )

    assert signature == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


def test_what_is_not_unicode_is_encoded_like_any_other_text() -> None:
    # Half of a surrogate pair, which UTF-8 has no code for.
    assert canonical_path("/a/\ud800") == "/a/%ED%A0%80"


@pytest.mark.parametrize("part", ["method", "headers"])
def test_what_is_not_unicode_is_signed_like_any_other_text(part: str) -> None:
    parts: dict[str, Any] = {
        "method": "GET",
        "path": "/",
        "parameters": (),
        "headers": "host:h\n",
        "signed_headers": ("host",),
        "payload_hash": "0" * 64,
        "timestamp": "20150830T123600Z",
        "scope": Scope("20150830", "us-east-1", "iam"),
    }

    assert (
        len({compute_signature(bytes(32), **{**parts, part: text}) for text in ("?", "\ud800", "\udfff")})
        == 3
    )


def test_a_signature_is_of_all_parameters_but_the_one_that_it_goes_without() -> None:
    def signature(*parameters: tuple[str, str], without: str | None) -> str:
        return compute_signature(
            bytes(32),
            method="GET",
            path="/",
            parameters=parameters,
            without=without,
            headers="host:h\n",
            signed_headers=("host",),
            payload_hash="0" * 64,
            timestamp="20150830T123600Z",
            scope=Scope("20150830", "us-east-1", "iam"),
        )

    assert signature(("b", "2"), ("c", "1"), without="c") == signature(("b", "2"), without=None)
    assert signature(("b", "2"), ("c", "1"), without=None) != signature(("b", "2"), without=None)
