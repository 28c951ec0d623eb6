"""What a client may cost beyond the bytes that it carries."""

from itertools import count

from hatchway.transport.connection.allowance import (
    BURST,
    RATE,
    SHARED_BURST,
    SHARED_RATE,
    SHORTEST_PAUSE,
    WASTE_BURST,
    WASTE_RATE,
    Allowance,
    SharedAllowance,
)

SECONDS = 10


def alone() -> Allowance:
    return Allowance(0.0, SharedAllowance(0.0))


def used(clients: int) -> list[int]:
    """Microseconds that each of so many clients uses in `SECONDS` that sends small frames without end."""
    shared = SharedAllowance(0.0)
    allowances = [Allowance(0.0, shared) for _ in range(clients)]
    spent, ready, now = [0] * clients, [0.0] * clients, 0.0
    for turn in count():
        client = turn % clients
        if ready[client] <= now:
            spent[client] += 150
            ready[client] = now + allowances[client].spend(150, 0, now)
        now += 0.0001
        if now >= SECONDS:
            return spent
    raise AssertionError


def test_who_sends_little_is_never_slowed() -> None:
    allowance = alone()
    assert not any(allowance.spend(int(RATE / 200), 0, second / 100) for second in range(1000))


def test_who_sends_more_small_frames_than_that_may_use_what_all_have_in_common() -> None:
    (spent,) = used(1)
    most = (RATE + SHARED_RATE) * SECONDS
    assert 0.9 * most <= spent <= most + BURST + SHARED_BURST + 300


def test_many_who_send_more_are_slowed_to_what_they_may_together() -> None:
    for clients in (2, 6, 30):
        together = sum(used(clients))
        most = (clients * RATE + SHARED_RATE) * SECONDS
        assert together <= most + clients * (BURST + 300) + SHARED_BURST


def test_what_is_each_clients_own_nobody_can_take() -> None:
    assert min(used(30)) >= 0.9 * RATE * SECONDS


def test_no_pause_is_so_short_that_it_costs_more_than_it_saves() -> None:
    allowance = alone()
    pauses = {allowance.spend(100, 0, 0.0) for _ in range(1000)} - {0.0}
    assert pauses
    assert min(pauses) >= SHORTEST_PAUSE


def test_bytes_pay_for_their_frames() -> None:
    allowance = alone()
    assert not any(allowance.spend(100, 100 * 256, 0.0) for _ in range(10_000))


def test_a_client_may_ping_all_the_time_but_not_without_measure() -> None:
    allowance = alone()
    assert not any(allowance.waste(1, 0, number / WASTE_RATE) for number in range(100_000))
    fresh = alone()
    at_once = next(number for number in range(1_000_000) if fresh.waste(1, 0, 0.0))
    assert at_once == WASTE_BURST


def test_bytes_make_up_for_pings() -> None:
    allowance = alone()
    assert not any(allowance.waste(2, 8192, 0.0) for _ in range(100_000))
