"""A digest under a key is Python's, or is left to it."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from tests.transport.compiled import needs_core

from hatchway.sigv4.canonical import compute_signature
from hatchway.sigv4.keys import Scope
from hatchway.transport.core.loading import CORE

pytestmark = needs_core

MOST_PARAMETERS = 32
texts = st.text(max_size=8) | st.text("aZ0-._~%2F=&\0", max_size=4) | st.just("X-Amz-Signature")
pairs = st.tuples(texts, texts)
keys = st.binary(min_size=32, max_size=32) | st.binary(max_size=64)


def digest(*arguments: Any) -> str | None:
    assert CORE is not None
    made: str | None = CORE.keyed_digest(*arguments)
    return made


def signature(key: bytes, parameters: Any, without: str | None, text: str, *, by_core: bool) -> str:
    return compute_signature(
        key,
        method="GET",
        path=text,
        parameters=parameters,
        without=without,
        headers=f"host:{text}\n",
        signed_headers=("host",),
        payload_hash="0" * 64,
        timestamp=text,
        scope=Scope("20261124", "us-east-1", "ec2-instance-connect"),
        keyed_digest=digest if by_core else None,
    )


@given(
    keys, st.lists(pairs, max_size=40).map(tuple), st.none() | texts, st.text(st.characters(codec="utf-8"))
)
@example(b"", (), None, "")
@example(b"k" * 64, (("a", "1"),) * MOST_PARAMETERS, "", "x" * 5000)
@example(b"k" * 32, (("a-", ""), ("a", ""), ("a", "-"), ("", "a")), "a", "é")
def test_a_signature_is_the_same_whoever_computes_it(
    key: bytes, parameters: tuple[tuple[str, str], ...], without: str | None, text: str
) -> None:
    assert signature(key, parameters, without, text, by_core=True) == signature(
        key, parameters, without, text, by_core=False
    )


def test_what_clients_send_is_the_cores_to_compute() -> None:
    parameters = tuple([(f"name-{number % 7}", f"{number}") for number in range(MOST_PARAMETERS)])
    assert digest(b"k" * 32, "GET\n/\n", parameters, "X-Amz-Signature", "\nhost:h\n", "AWS4\n") is not None
    assert digest(b"k" * 64, "", (), None, "", "") is not None


def test_what_is_otherwise_is_left_to_python() -> None:
    usual: list[Any] = [b"k" * 32, "GET", (("a", "b"),), None, "host", "AWS4"]
    assert digest(*usual) is not None
    for at, other in (
        (0, b"k" * 65),
        (0, bytearray(32)),
        (1, "\ud800"),
        (1, b"GET"),
        (2, [("a", "b")]),
        (2, (["a", "b"],)),
        (2, (("a", "b", "c"),)),
        (2, (("a",),)),
        (2, (("a", b"b"),)),
        (2, (("\udfff", "b"),)),
        (2, (("a\0", "b"),)),
        (2, (("a", "b"),) * (MOST_PARAMETERS + 1)),
        (3, b"a"),
        (4, None),
        (5, 1),
    ):
        assert digest(*usual[:at], other, *usual[at + 1 :]) is None, (at, other)
