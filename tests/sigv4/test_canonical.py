"""The canonical form of paths and queries."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatchway.sigv4.canonical import canonical_path, canonical_query, hmac_sha256, query_pairs


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_has_one_encoding_whichever_way_the_client_wrote_it(byte: int) -> None:
    canonical = quote(bytes([byte]), safe="")

    assert query_pairs(f"a=%{byte:02X}") == [("a", canonical)]
    assert query_pairs(f"a=%{byte:02x}") == [("a", canonical)]
    if chr(byte).isascii() and chr(byte) not in "%&+":
        assert query_pairs(f"a={chr(byte)}") == [("a", canonical)]


@given(st.text("abAB09-._~%+=/ é"))
@example("%")
@example("%4")
@example("%zz")
def test_canonical_values_stay_as_they_are(text: str) -> None:
    once = query_pairs("a=" + text)

    assert query_pairs(canonical_query(once)) == once


@given(st.lists(st.text("abAB09-._~%+= é"), min_size=1))
@example(["a=1"])
@example(["a=%2F", "=", "b-._~=%25%7C"])
def test_a_pair_reads_the_same_whatever_stands_beside_it(pairs: list[str]) -> None:
    query = "&".join(pairs)

    assert query_pairs(query) == [read for pair in pairs for read in query_pairs(pair)]
    assert query_pairs(f"{query}&+") == [*query_pairs(query), ("%20", "")]


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
