"""Presigned URLs that the core reads, it reads as Python does; all others it leaves to it."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.sigv4.query_form import ACCESS_KEY, HOST, NOW, SECRET, botocore_target, target
from tests.transport.compiled import needs_core

from hatchway.sigv4.canonical import EMPTY_PAYLOAD_HASH, canonical_headers, canonical_path, compute_signature
from hatchway.sigv4.errors import SignatureError
from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import Signature, read_query_signature
from hatchway.sigv4.verification import verify
from hatchway.transport.core.loading import CORE

pytestmark = needs_core

MOST_PARAMETERS = 32
ASKED = f"https://{HOST}/openTunnel?remotePort=22&privateIpAddress=fd00%3A%3A1"
USUAL = (target(), target(session_token="to/ken+= %"), target({}), target(expires=99_999))
CLIENTS = (*USUAL, botocore_target(ASKED), botocore_target(ASKED, "to/ken"))
HEADERS = (("host", HOST), ("upgrade", "websocket"), ("user-agent", "aws-cli/2.36"))
LONGEST = "&".join(
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        f"X-Amz-Credential={'a' * 128}%2F20261124%2F{'b' * 64}%2F{'c' * 64}%2Faws4_request",
        "X-Amz-Date=20261124T061723Z",
        "X-Amz-Expires=99999",
        "X-Amz-SignedHeaders=host",
        "X-Amz-Security-Token=",
        f"X-Amz-Signature={'0' * 64}",
    ]
)

PIECES = (
    "&",
    "=",
    "%2F",
    "%2f",
    "%41",
    "%3B",
    "%",
    "/",
    "+",
    "x",
    "0",
    "&a=b",
    "host",
    "\n",
    "\0",
    "é",
    "T",
    "Z",
)
NAMES = ("X-Amz-", "X%2DAmz-Date=1", "X-Amz-Signature=", "&X-Amz-Security-Token=", "&X-Amz-Security-Token=t")
pieces = st.sampled_from(PIECES + NAMES)
names = st.sampled_from(["host", "Host", "authorization", "x-amz-date", "x-amz", "X-AMZ-A", "\u212a", "a\0"])
values = st.sampled_from([HOST, "", "a b", " a", "a\t", "é", "\xa0", "\x85a", "~", "\ud800", "\0"])


def core(path: Any, query: Any, headers: Any) -> Any:
    assert CORE is not None
    return CORE.read_presigned(path, query, headers)


def spliced(text: str, at: int, size: int, piece: str) -> str:
    return text[:at] + piece + text[at + size :]


targets = st.builds(
    spliced, st.sampled_from([*CLIENTS, f"/a?{LONGEST}"]), st.integers(0, 700), st.integers(0, 12), pieces
) | st.permutations(target(session_token="t").partition("?")[2].split("&")).map(
    lambda parts: f"/openTunnel?{'&'.join(parts)}"
)


def read(request: HttpRequest, *, by_core: bool) -> Signature | tuple[object, ...]:
    try:
        return read_query_signature(request, core if by_core else None)
    except SignatureError as problem:
        return type(problem), str(problem)


def signed_by(key: bytes, request: HttpRequest, signature: Signature) -> str:
    return compute_signature(
        key,
        method="GET",
        path=canonical_path(request.path),
        parameters=request.parameters,
        without="X-Amz-Signature",
        headers=canonical_headers(request.headers, signature.signed_headers),
        signed_headers=signature.signed_headers,
        payload_hash=EMPTY_PAYLOAD_HASH,
        timestamp=signature.timestamp,
        scope=signature.scope,
    )


@given(targets, st.lists(st.tuples(names, values), max_size=2).map(tuple))
@example(target(), ())
@example(f"{target()}&X-Amz-Security-Token=late", ())
@example(target().replace("?", "?X-Amz-Security-Token=early&"), ())
@example(target().replace("?", "?a=X-Amz-Algorithm=1&"), ())
@example(target().replace("?", "?b&X-Amz-Algorithm=AWS4-HMAC-SHA256&"), ())
@example(target().replace("?", "?X-Amz-Signature=1&"), ())
@example(target().replace("?", "?=&-=&.=&~=&_=&A=&%00=&"), ())
@example(target().replace("?", "?a=1&a=1&"), ())
@example(target().replace("?", "?a=1&a-=1&a-b=&"), ())
@example(target().replace("T061723Z", "T996199Z"), ())
@example(target().replace("T061723Z", "T240000Z"), ())
@example(target().replace("20261124T", "20261324T"), ())
@example(target().replace("Expires=60", "Expires=060"), ())
@example(target().replace("Expires=60", "Expires=604800"), ())
@example(f"/a?{LONGEST}", ())
@example(f"/a?{LONGEST}".replace("=aaa", "=aaaa"), ())
@example(f"/a?{LONGEST}".replace("Fbbb", "Fbbbb"), ())
@example(f"/a?{LONGEST}".replace("Fccc", "Fcccc"), ())
@example(f"/a?{LONGEST}".replace("aaa%2F", "a-a%2F"), ())
@example(f"/a?{LONGEST}".replace("bbb%2F", "b_b%2F"), ())
@example(target(), (("Host", HOST),))
@example(target(), (("x-amz-date", "1"),))
@example(target(), (("authorization", "1"),))
def test_a_presigned_url_says_the_same_whoever_reads_it_and_its_signature_is_of_the_same(
    url: str, more: tuple[tuple[str, str], ...]
) -> None:
    path, _, query = url.partition("?")
    request = HttpRequest("GET", path, query, (*HEADERS, *more))
    ours, pythons = read(request, by_core=True), read(request, by_core=False)
    if not isinstance(ours, Signature):
        assert ours == pythons
        return
    assert ours._replace(told=None) == pythons
    if ours.told is not None:
        assert CORE is not None
        key = b"k" * 32
        assert CORE.keyed_digest(key, ours.told) == signed_by(key, request, ours)


@given(st.text(max_size=12).map("/".__add__) | st.text("a.~-_/", max_size=8), st.sampled_from(CLIENTS))
@example("/a/b", CLIENTS[0])
@example("/a.b", CLIENTS[0])
@example("/.a", CLIENTS[0])
@example("/a/", CLIENTS[0])
@example("a", CLIENTS[0])
@example("", CLIENTS[0])
def test_a_path_is_signed_as_python_has_it_or_left_to_it(path: str, url: str) -> None:
    request = HttpRequest("GET", path, url.partition("?")[2], HEADERS)
    signature = read_query_signature(request, core)
    if signature.told is not None:
        assert CORE is not None
        assert CORE.keyed_digest(b"", signature.told) == signed_by(b"", request, signature)


@pytest.mark.parametrize("url", CLIENTS)
def test_what_clients_write_is_the_cores_to_read(url: str) -> None:
    path, _, query = url.partition("?")
    request = HttpRequest("GET", path, query, HEADERS)
    signature = read_query_signature(request, core)
    assert signature.told is not None
    assert CORE is not None
    key = derive_signing_key(SECRET, "20261124", "us-east-1", "ec2-instance-connect")
    told: dict[str, Any] = {"now": NOW, "region": "us-east-1", "services": {"ec2-instance-connect"}}
    verify(request, signature, key, **told, keyed_digest=CORE.keyed_digest)
    assert signature.access_key_id == ACCESS_KEY


def test_so_many_parameters_are_the_cores_and_one_more_is_left_to_python() -> None:
    more = "&".join([f"a{number}=1" for number in range(MOST_PARAMETERS - 7)])
    assert core("/a", f"{more}&{LONGEST}", HEADERS) is not None
    assert core("/a", f"b=1&{more}&{LONGEST}", HEADERS) is None


@pytest.mark.parametrize(
    "given_",
    [
        ("/a", LONGEST, ()),
        ("/a", LONGEST, (("host", ""),)),
        ("/a", LONGEST, (("host", " h"),)),
        ("/a", LONGEST, (("host", "h\xa0"),)),
        ("/a", LONGEST, (("host", "\ud800"),)),
        ("/a", LONGEST, (("host", b"h"),)),
        ("/a", LONGEST, (("host",),)),
        ("/a", LONGEST, (["host", "h"],)),
        ("/a", LONGEST, [("host", "h")]),
        ("/a", LONGEST, (("host", "h"), ("host", "h"))),
        ("/a", LONGEST, (("host", "h"), ("x-amz-date", "1"))),
        ("/a", LONGEST, (("host", "h"), ("authorization", "1"))),
        ("/a", LONGEST, (("host", "h"), ("\u212a", "1"))),
        ("/a", LONGEST, (("host", "h"), ("\ud800", "1"))),
        ("/a", LONGEST, (("host", "h"), (b"a", "1"))),
        ("/a", LONGEST.encode(), HEADERS),
        ("/a", f"{LONGEST}\ud800", HEADERS),
        ("/a", f"{LONGEST}\0", HEADERS),
        ("/a", "", HEADERS),
        ("/a", "=", HEADERS),
        ("/\ud800", LONGEST, HEADERS),
        ("/é", LONGEST, HEADERS),
        (b"/a", LONGEST, HEADERS),
        (None, LONGEST, HEADERS),
    ],
)
def test_what_is_otherwise_is_left_to_python(given_: tuple[Any, Any, Any]) -> None:
    assert core(*given_) is None


@given(st.binary(max_size=64), st.text(st.characters(codec="utf-8")))
@example(b"", "")
@example(b"k" * 64, "x" * 5000)
@example(b"k" * 32, "\0é")
def test_a_digest_under_a_key_is_hmacs(key: bytes, told: str) -> None:
    assert CORE is not None
    assert CORE.keyed_digest(key, told) == hmac.new(key, told.encode(), hashlib.sha256).hexdigest()


def test_a_digest_under_something_else_is_an_error_of_whoever_asks() -> None:
    digest: Any = CORE and CORE.keyed_digest
    for wrong in ((), (b"k",), ("k", "t"), (b"k", b"t"), (b"k", "\ud800"), (bytearray(32), "t")):
        with pytest.raises(TypeError):
            digest(*wrong)
    with pytest.raises(ValueError, match="too long"):
        digest(b"k" * 65, "t")
    with pytest.raises(TypeError):
        core(*("/a", LONGEST))  # type: ignore[call-arg]
