"""One process at a time does what only one is to do, and none goes on that is not the one any more."""

import subprocess
import sys
import threading

import pytest
from structlog.testing import capture_logs
from tests.store.test_store import user

from hatchway.domain.leader import Leader
from hatchway.store import Leadership, LeadershipLost, MachineRemoved, Store, living_leader
from hatchway.store.processes import leadership
from hatchway.store.processes.leadership import LEASE
from hatchway.store.processes.process_identity import is_gone, own_identity

ROLE = "work"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def process(store: Store, clock: Clock, name: str) -> Leadership:
    return Leadership(store, {ROLE: f"{name}:/there"}, clock, holder=name)


@pytest.fixture
def two(store: Store, clock: Clock) -> tuple[Leadership, Leadership]:
    """One that leads, and one that would."""
    one, other = process(store, clock, "one"), process(store, clock, "other")
    one.look()
    other.look()
    return one, other


def leading(*processes: Leadership) -> list[bool]:
    return [each.leads(ROLE) for each in processes]


def test_whoever_comes_first_leads_for_as_long_as_he_renews(
    two: tuple[Leadership, Leadership], clock: Clock
) -> None:
    assert leading(*two) == [True, False]
    for _ in range(10):
        clock.now += LEASE / 2
        for each in two:
            each.look()
        assert leading(*two) == [True, False]


def test_a_role_is_taken_when_its_leader_is_not_heard_of_for_its_lease_and_no_sooner(
    two: tuple[Leadership, Leadership], clock: Clock
) -> None:
    one, other = two
    clock.now += LEASE - 0.1
    other.look()
    assert leading(*two) == [True, False]
    clock.now += 0.1
    # His own clock told the former leader first.
    assert leading(*two) == [False, False]
    other.look()
    assert leading(*two) == [False, True]
    one.look()
    assert leading(*two) == [False, True]


def test_a_role_that_was_left_is_taken_at_once(two: tuple[Leadership, Leadership]) -> None:
    one, other = two
    one.resign()
    other.look()
    assert leading(*two) == [False, True]


def test_who_cannot_do_what_a_role_is_for_leaves_it_and_takes_it_again_when_he_can(
    two: tuple[Leadership, Leadership],
) -> None:
    one, other = two
    able = False
    one.take_only_if(ROLE, lambda: able)
    one.leave(ROLE)
    one.look()
    assert leading(*two) == [False, False]
    other.look()
    assert leading(*two) == [False, True]
    able = True
    one.look()
    assert leading(*two) == [False, True]
    other.leave(ROLE)
    one.look()
    assert leading(*two) == [True, False]
    # What another has is not his to leave.
    other.leave(ROLE)
    assert leading(*two) == [True, False]


def test_a_leader_that_was_overtaken_writes_nothing_more(
    two: tuple[Leadership, Leadership], clock: Clock, store: Store
) -> None:
    one, other = two
    clock.now += LEASE
    other.look()
    clock.now -= LEASE
    # It believes what it last knew, as after a suspension.
    assert leading(one) == [True]
    for transaction in (one.store(ROLE).write, one.store(ROLE).record):
        with pytest.raises(LeadershipLost), transaction():
            pytest.fail("it went on")
        assert leading(one) == [False]
    with other.store(ROLE).write() as tx:
        tx.users.put(user("alice"))
    with store.read() as tx:
        assert tx.users.count() == 1


# In SQLite whoever writes is alone.
@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_nobody_takes_a_role_within_a_transaction_of_its_leader(
    two: tuple[Leadership, Leadership], clock: Clock, store: Store
) -> None:
    one, other = two
    with one.store(ROLE).write() as tx:
        tx.users.put(user("alice"))
        clock.now += LEASE
        other.look()
        assert leading(other) == [False]
        # Nor does its own renewal, in another thread, wait for it.
        one.look()
        assert leading(one) == [True]
    clock.now += LEASE
    other.look()
    clock.now += LEASE
    other.look()
    assert leading(other) == [True]


def test_of_many_that_would_lead_at_once_one_does(store: Store, clock: Clock) -> None:
    many = [process(store, clock, f"p{number}") for number in range(6)]
    together = threading.Barrier(len(many))

    def look(each: Leadership) -> None:
        together.wait()
        each.look()

    threads = [threading.Thread(target=look, args=(each,)) for each in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(leading(*many)) == 1


def test_who_takes_a_role_is_told_where_it_was(store: Store, clock: Clock) -> None:
    told: list[str] = []
    for name in ("one", "other"):
        gained = {ROLE: lambda _tx, place: told.append(place)}
        each = Leadership(store, {ROLE: f"{name}:/there"}, clock, holder=name, gained=gained)
        each.look()
        each.resign()
    assert told == ["", "one:/there"]


def test_a_store_that_was_restored_has_its_roles_taken_anew(
    two: tuple[Leadership, Leadership], clock: Clock, store: Store
) -> None:
    with store.record() as tx:
        tx.leaders.put(Leader(role=ROLE, holder="long gone", beat=3, place=""))
    for _ in range(3):
        clock.now += LEASE / 2
        for each in two:
            each.look()
    assert sorted(leading(*two)) == [False, True]


def test_whether_somebody_leads_is_known_by_what_he_says_within_a_lease(
    two: tuple[Leadership, Leadership], store: Store, clock: Clock
) -> None:
    one, _ = two
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        clock.now += seconds
        slept.append(seconds)

    def sleep_and_renew(seconds: float) -> None:
        sleep(seconds)
        if sum(slept) > LEASE / 2:
            one.look()

    living = living_leader(store, ROLE, clock, sleep_and_renew)
    assert living is not None
    assert (living.holder, living.place) == ("one", "one:/there")
    slept.clear()
    assert living_leader(store, ROLE, clock, sleep) is None
    assert LEASE <= sum(slept) <= LEASE + 1
    slept.clear()
    one.resign()
    assert living_leader(store, ROLE, clock, sleep) is None
    assert living_leader(store, "another", clock, sleep) is None
    assert not slept


def test_a_process_of_this_machine_that_is_gone_is_known_to_be() -> None:
    script = "from hatchway.store.processes.process_identity import own_identity;"
    script += "print(own_identity(), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        identity = child.stdout.readline().strip()
        assert not is_gone(identity) and not is_gone(own_identity())
        child.kill()
    assert is_gone(identity)
    host, _boot, *rest = identity.split("/")
    elsewhere = "/".join((host, "another-boot", *rest))
    assert not is_gone(elsewhere) and is_gone(elsewhere, alone=True)
    assert not is_gone("") and not is_gone("nonsense")


def test_the_role_of_a_killed_process_is_taken_at_once(store: Store, clock: Clock) -> None:
    gone = own_identity().split("/")
    gone[5] = "1"
    with store.record() as tx:
        tx.leaders.put(Leader(role=ROLE, holder="/".join(gone), beat=3, place=""))
    one = process(store, clock, "one")
    one.look()
    assert leading(one) == [True]


def test_while_nothing_can_be_settled_that_is_logged_once_and_when_it_can_again_too(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "LOOK", 0.01)
    looks: list[object] = [None, OSError(5, "disk"), OSError(5, "disk"), None, MachineRemoved("taken out")]
    looked = threading.Event()

    def look() -> None:
        if not looks:
            looked.set()
        elif isinstance(outcome := looks.pop(0), Exception):
            raise outcome

    one = process(store, clock, "one")
    monkeypatch.setattr(one, "look", look)
    with capture_logs() as logs:
        one.start()
        assert looked.wait(60)
        one.stop()
    told = [each["event"] for each in logs]
    assert told == ["leadership cannot be settled", "leadership is settled again"]
