"""What is read of a signature in the URL, before anything is verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.sigv4.query_form import (
    ACCESS_KEY,
    NOW,
    get,
    target,
    without,
)

from hatchway.sigv4.errors import IncompleteSignature, MissingAuthenticationToken
from hatchway.sigv4.keys import Scope
from hatchway.sigv4.signature import Signature, read_query_signature

if TYPE_CHECKING:
    from hatchway.sigv4.request import HttpRequest


@pytest.mark.parametrize(
    "parameter",
    [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ],
)
def test_an_incomplete_signature_says_what_is_missing(parameter: str) -> None:
    with pytest.raises(IncompleteSignature) as refusal:
        read_query_signature(without(parameter))

    assert refusal.value.missing == (parameter,)
    assert str(refusal.value) == f"The query string requires '{parameter}'."


def test_all_that_a_url_says_is_read_out_of_its_encoding() -> None:
    url = target(session_token="to/ken+=", service="ec2-instance-connect")

    signature = read_query_signature(get(url))

    assert signature.access_key_id == ACCESS_KEY
    assert signature.scope == Scope("20261124", "us-east-1", "ec2-instance-connect")
    assert signature.signed_headers == ("host",)
    assert (signature.timestamp, signature.signed_at, signature.expires) == ("20261124T061723Z", NOW, 60)
    assert url.endswith(f"&X-Amz-Signature={signature.signature}")
    assert signature.session_token == "to/ken+="


@pytest.mark.parametrize("seconds", [1, 604_800])
def test_a_url_may_live_for_a_second_and_for_a_week(seconds: int) -> None:
    assert read_query_signature(get(target(expires=seconds))).expires == seconds
    written = target().replace("X-Amz-Expires=60", f"X-Amz-Expires={seconds:06}")
    assert read_query_signature(get(written)).expires == seconds


def test_a_url_may_do_without_a_session_token() -> None:
    assert read_query_signature(get(target())).session_token is None


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (get(target() + "&remotePort=22"), r"^A parameter of the query string is there more than once\.$"),
        (
            get(target(), headers=(("Authorization", "x"),)),
            r"^A request may be signed in its headers or in its URL, not in both\.$",
        ),
        (get(target().replace("HMAC-SHA256", "HMAC-SHA1")), "only signing algorithm"),
        (get(target().replace("X-Amz-Expires=60", "X-Amz-Expires=0")), "from 1 to 604800"),
        (get(target().replace("X-Amz-Expires=60", "X-Amz-Expires=604801")), "from 1 to 604800"),
        (get(target().replace("X-Amz-Expires=60", "X-Amz-Expires=1s")), "from 1 to 604800"),
        (get(target().replace("us-east-1%2F", "us_east_1%2F")), "malformed access key id"),
        (get(target().replace("aws4_request", "aws5_request")), "Credential must be"),
    ],
    ids=["twice", "two forms", "algorithm", "no second", "over a week", "no number", "region", "terminator"],
)
def test_what_cannot_be_read_is_said(request_: HttpRequest, text: str) -> None:
    with pytest.raises(IncompleteSignature, match=text):
        read_query_signature(request_)


@pytest.mark.parametrize("url", ["/openTunnel", "/openTunnel?remotePort=22"])
def test_a_url_without_a_signature_has_none(url: str) -> None:
    with pytest.raises(MissingAuthenticationToken):
        read_query_signature(get(url))


USUAL = (
    ACCESS_KEY,
    "20261124",
    "us-east-1",
    "s3",
    "20261124T061723Z",
    "60",
    "0" * 64,
    None,
    "what is signed",
)


def test_who_is_asked_first_may_read_it() -> None:
    asked: list[tuple[object, ...]] = []

    def read(*of: object) -> Any:
        asked.append(of)
        return USUAL

    request = get("/a?b=c")

    signature = read_query_signature(request, read)

    assert asked == [("/a", "b=c", request.headers)]
    assert signature == Signature(
        ACCESS_KEY,
        Scope("20261124", "us-east-1", "s3"),
        ("host",),
        "0" * 64,
        "20261124T061723Z",
        NOW,
        60,
        None,
        "what is signed",
    )


@pytest.mark.parametrize(("written", "token"), [("to%2Fken%2B%3D", "to/ken+="), ("", None), (None, None)])
def test_its_token_is_read_out_of_its_encoding(written: str | None, token: str | None) -> None:
    read = (*USUAL[:7], written, USUAL[8])
    assert read_query_signature(get("/"), lambda *_: read).session_token == token


@pytest.mark.parametrize("timestamp", ["20261324T061723Z", "20261124T246123Z", "20261124T240000Z"])
def test_a_moment_that_never_is_is_refused_whoever_has_read_it(timestamp: str) -> None:
    read = (*USUAL[:4], timestamp, *USUAL[5:])
    with pytest.raises(IncompleteSignature, match="X-Amz-Date must be"):
        read_query_signature(get("/"), lambda *_: read)


def test_what_is_left_is_read_here() -> None:
    request = get(target())
    assert read_query_signature(request, lambda *_: None) == read_query_signature(request)


def test_nobody_else_is_asked_of_a_request_with_a_body_or_of_another_method() -> None:
    request = get(target(), body=b"x")
    assert read_query_signature(request, lambda *_: USUAL) == read_query_signature(request)
    request = get(target())
    request.method = "POST"
    assert read_query_signature(request, lambda *_: USUAL).told is None
