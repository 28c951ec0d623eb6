"""A clock that is wrong: the server's time is used, and asked for no more than once."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.client.stubs import Answer, StubGateway, refusal
from tests.client.test_tunnel import Says, carry_bytes

from hatchway.client import clock
from hatchway.client.errors import TunnelClosed, TunnelRefused
from hatchway.sigv4.errors import RequestExpired


@pytest.fixture(autouse=True)
def right_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_offset", timedelta())


def said(made: datetime, ahead: timedelta) -> str:
    """What a server says whose clock is so far ahead of ours."""
    return str(RequestExpired(made, datetime.now(UTC) + ahead))


@pytest.mark.parametrize("minutes", [-700, -6, 6, 700])
def test_a_server_s_time_is_taken_and_a_request_made_with_it_is_not_made_again(minutes: int) -> None:
    ahead = timedelta(minutes=minutes)
    first = clock.now()
    assert clock.learn(said(first, ahead))
    assert abs(clock.now() - datetime.now(UTC) - ahead) < timedelta(seconds=30)
    # Another that was made before, at the same time as the first, may be made again too.
    assert clock.learn(said(first, ahead))
    assert not clock.learn(said(clock.now(), ahead))


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Signature expired",
        "it was made at 20261340T000000Z, and it is 20261340T000000Z.",
        said(datetime.now(UTC), timedelta(days=2)),
        said(datetime.now(UTC), timedelta(days=-400)),
        said(datetime.now(UTC), timedelta(seconds=2)),
    ],
)
def test_what_says_no_time_or_none_that_can_be_changes_nothing(message: str) -> None:
    assert not clock.learn(message)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=30)


def expired(gateway: StubGateway, ahead: timedelta) -> Answer:
    (date,) = parse_qs(urlsplit(gateway.requests[-1].path.decode()).query)["X-Amz-Date"]
    made = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return refusal(403, json.dumps({"ErrorCode": "RequestExpired", "Message": said(made, ahead)}).encode())


def test_a_tunnel_that_is_refused_for_the_clock_is_asked_for_once_more(gateway: StubGateway) -> None:
    answers = iter([None, Says(b"", 4000, "reached")])
    gateway.answer = lambda: next(answers) or expired(gateway, timedelta(hours=-3))
    with pytest.raises(TunnelClosed, match="reached"):
        carry_bytes(gateway, b"")
    first, second = (
        parse_qs(urlsplit(request.path.decode()).query)["X-Amz-Date"][0] for request in gateway.requests
    )
    assert second < first


def test_it_is_asked_for_no_more_than_twice(gateway: StubGateway) -> None:
    gateway.answer = lambda: expired(gateway, timedelta(hours=len(gateway.requests)))
    with pytest.raises(TunnelRefused, match="RequestExpired"):
        carry_bytes(gateway, b"")
    assert len(gateway.requests) == 2
