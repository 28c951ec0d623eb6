"""Which handshakes are refused before they are computed."""

import ssl
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.harness import client_tls, server_tls
from tests.transport.openssl_client import first_words, needs_openssl

from hatchway.transport.client_hello import MOST, ClientHellos

pytestmark = needs_openssl

CHANGE_CIPHER_SPEC = bytes.fromhex("140303000101")


def in_records(sent: bytes, sizes: Sequence[int]) -> bytes:
    """A message of one record in several, with room for so many bytes each."""
    message, records = sent[5:], b""
    for size in (*sizes, len(message)):
        piece, message = message[:size], message[size:]
        records += sent[:3] + len(piece).to_bytes(2) + piece + CHANGE_CIPHER_SPEC
    return records


@given(
    groups=st.sampled_from(["X25519:ffdhe8192", "P-256", "P-384", "P-521", "ffdhe2048", "ffdhe8192:P-256"]),
    sizes=st.lists(st.integers(1, 400), max_size=20),
    again=st.booleans(),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
)
def test_who_begins_with_a_finite_field_is_refused_however_it_is_cut_and_though_a_curve_came_first(
    groups: str, sizes: list[int], again: bool, cuts: list[int]
) -> None:
    sent = (first_words("X25519") if again else b"") + in_records(first_words(groups), sizes)
    hellos, before, verdicts = ClientHellos(), 0, []
    for cut in sorted([*cuts, len(sent)]):
        verdicts.append(hellos.are_too_costly(memoryview(sent)[before:cut]))
        before = max(before, cut)
    assert any(verdicts) is groups.startswith("ffdhe")


def test_what_is_malformed_is_left_to_openssl_and_no_more_than_a_handshake_is_kept() -> None:
    assert not ClientHellos().are_too_costly(memoryview(bytes.fromhex("160301000601000002 0303")))
    hellos = ClientHellos()
    begun = bytes.fromhex("160301ffff 01010000")
    # Data is none of it, as of a client that sends its request behind its handshake.
    assert not hellos.are_too_costly(memoryview(bytes.fromhex("170303ffff") + bytes(65_535)))
    assert not hellos.are_too_costly(memoryview(begun + bytes(MOST - 4)))
    assert hellos.are_too_costly(memoryview(b"x"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_ordinary_handshake_is_none_of_them(version: ssl.TLSVersion) -> None:
    context = client_tls.__wrapped__()
    context.minimum_version = context.maximum_version = version
    up, down, hellos = ssl.MemoryBIO(), ssl.MemoryBIO(), ClientHellos()
    server_up = ssl.MemoryBIO()
    client = context.wrap_bio(down, up)
    server = server_tls().wrap_bio(server_up, down, server_side=True)
    for _ in range(3):
        with suppress(ssl.SSLWantReadError):
            client.do_handshake()
        sent = up.read()
        assert not hellos.are_too_costly(memoryview(sent))
        server_up.write(sent)
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
    assert server.version() is not None
