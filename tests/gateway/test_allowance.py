"""What a client may cost beyond the bytes that it carries."""

from hatchway.gateway.allowance import BURST, RATE, SHORTEST_PAUSE, WASTE_BURST, WASTE_RATE, Allowance


def test_who_sends_little_is_never_slowed() -> None:
    allowance = Allowance(0.0)
    assert not any(allowance.spend(int(RATE / 200), 0, second / 100) for second in range(1000))


def test_who_sends_more_small_frames_than_that_is_slowed_to_the_rate() -> None:
    allowance, now, sent = Allowance(0.0), 0.0, 0
    while now < 10:
        sent += 150
        now += 0.0001 + allowance.spend(150, 0, now)
    assert RATE * 10 <= sent <= RATE * 10 + BURST + 300


def test_no_pause_is_so_short_that_it_costs_more_than_it_saves() -> None:
    allowance = Allowance(0.0)
    pauses = {allowance.spend(100, 0, 0.0) for _ in range(1000)} - {0.0}
    assert pauses
    assert min(pauses) >= SHORTEST_PAUSE


def test_bytes_pay_for_their_frames() -> None:
    allowance = Allowance(0.0)
    assert not any(allowance.spend(100, 100 * 256, 0.0) for _ in range(10_000))


def test_a_client_may_ping_all_the_time_but_not_without_measure() -> None:
    allowance = Allowance(0.0)
    assert not any(allowance.waste(1, 0, number / WASTE_RATE) for number in range(100_000))
    fresh = Allowance(0.0)
    at_once = next(number for number in range(1_000_000) if fresh.waste(1, 0, 0.0))
    assert at_once == WASTE_BURST


def test_bytes_make_up_for_pings() -> None:
    allowance = Allowance(0.0)
    assert not any(allowance.waste(2, 8192, 0.0) for _ in range(100_000))
