"""A small soak: `make soak` carries 10 GB each way in the same manner."""

import secrets

import pytest
from tests.gateway.soak import MIB, Outcome, soak
from tests.gateway.soak_ends import Ending, Stream, Wrong

SIZE = 50_000_000


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    seed = secrets.token_hex(4)
    print(f"seed {seed}")
    return soak(seed, SIZE, 9, held=6, stall=0.5)


def test_every_byte_arrives_through_pauses_short_reads_stalls_and_ends(outcome: Outcome) -> None:
    print(*outcome.lines(), sep="\n")
    assert outcome.delivered_up >= SIZE
    assert outcome.delivered_down >= SIZE
    assert set(outcome.tunnels) == set(Ending)


def test_a_tunnel_that_neither_end_reads_from_holds_at_most_one_mebibyte(outcome: Outcome) -> None:
    assert 0 < outcome.held < MIB


@pytest.mark.parametrize("at", [0, 1, 99_999])
def test_a_soak_notices_one_byte_that_is_another(at: int) -> None:
    data = bytearray(Stream(b"s" * 16).send(100_000))
    data[at] ^= 1
    with pytest.raises(Wrong, match=f"byte {at:,} "):
        Stream(b"s" * 16).check(bytes(data))


def test_a_soak_notices_bytes_that_are_missing_or_come_twice() -> None:
    data = Stream(b"s" * 16).send(100_000)
    with pytest.raises(Wrong):
        Stream(b"s" * 16).check(data[:500] + data[501:])
    with pytest.raises(Wrong):
        Stream(b"s" * 16).check(data[:500] + data[499:])
