"""Query strings, read into the one encoding that is signed."""

from __future__ import annotations

import gc
import sys
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatchway.sigv4.canonical import canonical_query
from hatchway.sigv4.query import query_pairs


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


@given(st.text("abAB09-._~%+=/!é\ud800\0"))
@example("%%41")
@example("%4%41")
@example("%4é%e9%C3")
@example("%%%é%zz%+5%2b")
@example("a=%3d%26=")
def test_a_value_is_what_is_decoded_encoded_once_more(text: str) -> None:
    octets = unquote_to_bytes(text.replace("+", " ").encode(errors="surrogatepass"))

    assert query_pairs("a=" + text) == [("a", quote(octets, safe=""))]


@pytest.mark.parametrize("pair", ["&+", "&%40=+", "&=+", "&a"])
def test_what_a_pair_costs_that_no_client_writes_is_no_call_of_python_s(pair: str) -> None:
    def calls(query: str) -> int:
        made = []
        # Hypothesis has collections of garbage call it.
        gc.disable()
        sys.setprofile(lambda _frame, event, _arg: made.append(event) if event == "call" else None)
        try:
            query_pairs(query)
        finally:
            sys.setprofile(None)
            gc.enable()
        return len(made)

    assert calls(pair * 1000) == calls(pair)


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("b=1&a=2", [("b", "1"), ("a", "2")]),
        ("a=1=2", [("a", "1%3D2")]),
        ("a=1+2", [("a", "1%202")]),
        ("&&a=1&", [("a", "1")]),
    ],
)
def test_a_query_is_read_as_a_form_is(query: str, pairs: list[tuple[str, str]]) -> None:
    assert query_pairs(query) == pairs


def test_what_is_not_unicode_is_encoded_like_any_other_text() -> None:
    # Half of a surrogate pair, which UTF-8 has no code for.
    assert query_pairs("a=\ud800&\udfff") == [("a", "%ED%A0%80"), ("%ED%BF%BF", "")]
