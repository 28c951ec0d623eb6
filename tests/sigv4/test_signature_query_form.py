"""What is read of a signature in the URL, before anything is verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.sigv4.query_form import (
    ACCESS_KEY,
    NOW,
    botocore_target,
    get,
    target,
    without,
)

from hatchway.sigv4 import signature as module
from hatchway.sigv4.errors import IncompleteSignature, MissingAuthenticationToken, SignatureError
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


URLS = (target(), target(session_token="to/ken+= %"), target({}), target(expires=604_800))
PIECES = (
    "&",
    "=",
    "%2F",
    "%2f",
    "%3B",
    "/",
    "+",
    "X-Amz-",
    "X%2DAmz-Date=1",
    "x",
    "0",
    "&a=b",
    "host",
    "\n",
    "é",
)


def read(url: str) -> Signature | tuple[type, str]:
    try:
        return read_query_signature(get(url))
    except SignatureError as problem:
        return type(problem), str(problem)


def spliced(url: str, at: int, size: int, piece: str) -> str:
    return url[: at % len(url)] + piece + url[at % len(url) + size :]


@given(
    st.builds(
        spliced, st.sampled_from(URLS), st.integers(11, 600), st.integers(0, 12), st.sampled_from(PIECES)
    )
    | st.permutations(target(session_token="t").partition("?")[2].split("&")).map(
        lambda parts: f"/openTunnel?{'&'.join(parts)}"
    )
)
@example(URLS[0])
@example(f"{URLS[0]}&X-Amz-Security-Token=late")
@example(URLS[0].replace("?", "?X-Amz-Security-Token=early&"))
@example(URLS[0].replace("?", "?a=X-Amz-Algorithm=1&"))
@example(URLS[0].replace("?", "?b&X-Amz-Algorithm=AWS4-HMAC-SHA256&"))
@example(URLS[0].replace("T061723Z", "T996199Z"))
@example(URLS[0].replace("20261124T", "20261324T"))
@example(URLS[0].replace("Expires=60", "Expires=060"))
@example(URLS[1].replace("to%2Fken", "to/ken"))
def test_what_is_written_as_clients_do_it_is_read_at_once_and_as_otherwise(url: str) -> None:
    at_once = read(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_usual_parameters", lambda *_: None)
        assert read(url) == at_once


ASKED = "https://gateway.example/openTunnel?remotePort=22&privateIpAddress=fd00%3A%3A1"


@pytest.mark.parametrize("url", [*URLS[:2], botocore_target(ASKED), botocore_target(ASKED, "to/ken")])
def test_what_clients_write_is_read_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IN_QUERY", ())
    assert read_query_signature(get(url)).access_key_id == ACCESS_KEY
