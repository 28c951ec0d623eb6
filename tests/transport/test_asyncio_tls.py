"""How many TLS records a request may take."""

from hypothesis import given
from hypothesis import strategies as st

from hatchway.transport.asyncio_tls import CARRIED, RECORDS, Records


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2) + bytes(size)


def taken(records: Records, data: bytes, cuts: list[int]) -> bool:
    """Whether all of it is taken, however it is cut."""
    at = 0
    for cut in [*cuts, len(data)]:
        piece = data[at : at + cut]
        at += len(piece)
        if piece and records.are_too_many(memoryview(piece)):
            return False
    return True


@given(
    sizes=st.lists(st.sampled_from([0, 1, 22, 300, 16_400]), max_size=20),
    cuts=st.lists(st.integers(1, 400), max_size=300),
)
def test_records_are_counted_the_same_however_they_arrive(sizes: list[int], cuts: list[int]) -> None:
    records, whole = Records(), Records()
    data = b"".join(map(record, sizes))
    assert taken(records, data, cuts)
    assert taken(whole, data, [])
    assert records._left == whole._left == RECORDS - len(sizes)


def test_small_ones_are_bounded_and_a_request_s_answer_allows_as_many_again() -> None:
    records = Records()
    small = record(22)
    free = len(small) / CARRIED
    most = int(RECORDS / (1 - free))
    assert taken(records, small * most, [])
    assert not taken(records, small * 10, [])
    records.begin()
    assert taken(records, small * most, [])


def test_a_body_in_the_smallest_records_that_clients_agree_on_is_taken() -> None:
    assert taken(Records(), record(CARRIED) * 2048, [1000] * 500)
