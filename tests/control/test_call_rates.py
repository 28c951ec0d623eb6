"""A principal has a rate for each kind of call; what it spends is nobody else's."""

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import Credentials, World

from hatchway.control import call_rates
from hatchway.control.call_rates import BURST_SECONDS, CallRates, Kind, TooFast

RATES = {Kind.READ: 2.0, Kind.WRITE: 0.5}


def spent(rates: CallRates, principal: str, kind: Kind, now: float, tries: int = 1000) -> int:
    """How many calls are let through, one right after the other."""
    for number in range(tries):
        try:
            rates.spend(principal, kind, now)
        except TooFast:
            return number
    return tries


def test_a_burst_is_answered_and_then_as_many_as_the_rate_says() -> None:
    rates = CallRates(RATES)
    assert spent(rates, "alice", Kind.READ, 100.0) == 2 * BURST_SECONDS
    assert spent(rates, "alice", Kind.READ, 100.4) == 0
    assert spent(rates, "alice", Kind.READ, 103.0) == 6
    # What is saved up is at most a burst.
    assert spent(rates, "alice", Kind.READ, 10_000.0) == 2 * BURST_SECONDS


def test_kinds_and_principals_have_buckets_of_their_own() -> None:
    rates = CallRates(RATES)
    assert spent(rates, "alice", Kind.READ, 0.0) == 40
    assert spent(rates, "alice", Kind.WRITE, 0.0) == 10
    assert spent(rates, "bob", Kind.READ, 0.0) == 40


def test_a_clock_that_threads_read_in_another_order_gives_nothing_twice() -> None:
    rates = CallRates(RATES)
    assert spent(rates, "alice", Kind.READ, 10.0) == 40
    assert spent(rates, "alice", Kind.READ, 5.0) == 0
    assert spent(rates, "alice", Kind.READ, 11.0) == 2


def test_a_rate_of_0_is_no_bound_and_a_slow_one_lets_one_call_through() -> None:
    rates = CallRates({Kind.READ: 0.0, Kind.WRITE: 0.001})
    assert spent(rates, "alice", Kind.READ, 0.0) == 1000
    assert spent(rates, "alice", Kind.WRITE, 0.0) == 1


def test_the_buckets_of_those_who_have_not_called_for_longest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_rates, "MOST", 2)
    rates = CallRates(RATES)
    for name in ("alice", "bob"):
        assert spent(rates, name, Kind.READ, 0.0) == 40
    assert spent(rates, "bob", Kind.READ, 0.0) == 0
    assert spent(rates, "carol", Kind.READ, 0.0) == 40
    assert spent(rates, "bob", Kind.READ, 0.0) == 0
    assert spent(rates, "alice", Kind.READ, 0.0) == 40


@pytest.mark.parametrize(
    ("service", "read", "write", "code"),
    [
        (
            "ec2",
            "describe_vpcs",
            ("create_tags", {"Resources": ["vpc-1"], "Tags": [{"Key": "env"}]}),
            "RequestLimitExceeded",
        ),
        ("iam", "list_users", ("delete_user", {"UserName": "nobody"}), "Throttling"),
    ],
)
def test_a_principal_that_never_stops_is_throttled_and_holds_up_nobody(
    world: World, service: str, read: str, write: tuple[str, dict[str, object]], code: str
) -> None:
    allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    alice, bob = world.user("alice", allowed), world.user("bob", allowed)
    world.plane.rates._rates = {Kind.READ: 0.05, Kind.WRITE: 100.0}
    client = world.client(service, alice)
    getattr(client, read)()
    with pytest.raises(ClientError, match=r"calls that read: 0\.05 a second") as caught:
        getattr(client, read)()
    assert caught.value.response["Error"]["Code"] == code
    # botocore knows the code, and would have tried again.
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (429, 503)
    name, parameters = write
    with pytest.raises(ClientError) as caught:
        getattr(client, name)(**parameters)
    assert caught.value.response["Error"]["Code"] != code
    getattr(world.client(service, bob), read)()


def test_the_sessions_that_one_user_makes_share_its_rate_and_another_user_s_have_theirs(world: World) -> None:
    role = world.role("on-call", trust={"Principal": "*"})
    further = world.role("further", trust={"Principal": "*"})
    assuming = {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}
    world.allow_role("on-call", assuming)
    alice, bob = world.user("alice", assuming), world.user("bob", assuming)

    def session(who: Credentials, name: str, of: str = role) -> Credentials:
        answer = world.client("sts", who).assume_role(RoleArn=of, RoleSessionName=name)
        return Credentials.temporary(answer)

    first, second, bobs = session(alice, "first"), session(alice, "second"), session(bob, "first")
    chained = session(first, "third", further)
    world.plane.rates._rates = {Kind.READ: 0.05, Kind.WRITE: 100.0}
    world.client("sts", first).get_caller_identity()
    for who in (second, chained, alice):
        with pytest.raises(ClientError, match="calls that read"):
            world.client("sts", who).get_caller_identity()
    world.client("sts", bobs).get_caller_identity()


def test_calls_that_cannot_be_read_are_counted_too(world: World) -> None:
    world.plane.rates._rates = {Kind.READ: 0.05, Kind.WRITE: 100.0}
    header = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"Action=DescribeVpcs&Version=2016-11-15&MaxResults=many"
    codes = [world.send(headers=header, body=body, service="ec2").status for _ in range(2)]
    assert codes == [400, 503]
