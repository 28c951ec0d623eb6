"""A clock that is wrong: the server's time is used, and asked for no more than once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.client.carriers import carry_bytes
from tests.client.stubs import Answer, StubGateway, refusal
from tests.client.tunnel.test_tunnel import Says

from hatchway.client.api import clock
from hatchway.client.errors import TunnelClosed, TunnelRefused
from hatchway.sigv4.errors import RequestExpired


@pytest.fixture(autouse=True)
def right_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "_offset", timedelta())
    yield
    os.environ.pop(clock._TOLD_BEFORE, None)


def is_now(ahead: timedelta) -> bool:
    """Whether the clock is ahead by so much, to the second that a server says."""
    second = timedelta(seconds=1)
    before = datetime.now(UTC)
    now = clock.now() - ahead
    return before - second <= now <= datetime.now(UTC) + second


def said(made: datetime, ahead: timedelta) -> str:
    """What a server says whose clock is so far ahead of ours."""
    return str(RequestExpired(made, datetime.now(UTC) + ahead))


@pytest.mark.parametrize("minutes", [-700, -6, 6, 700])
def test_a_server_s_time_is_taken_and_a_request_made_with_it_is_not_made_again(minutes: int) -> None:
    ahead = timedelta(minutes=minutes)
    first = clock.now()
    assert clock.learn(said(first, ahead))
    assert is_now(ahead)
    # Another that was made before, at the same time as the first, may be made again too.
    assert clock.learn(said(first, ahead))
    assert not clock.learn(said(clock.now(), ahead))


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Signature expired",
        "it was made at 20261340T000000Z, and it is 20261340T000000Z.",
        timedelta(days=2),
        timedelta(days=-400),
        timedelta(seconds=2),
    ],
)
def test_what_says_no_time_or_none_that_can_be_changes_nothing(message: str | timedelta) -> None:
    assert not clock.learn(message if isinstance(message, str) else said(datetime.now(UTC), message))
    assert is_now(timedelta())


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


def test_that_the_server_s_time_is_used_is_said_once_and_a_process_that_is_started_need_not_learn_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = clock.now()
    for _ in range(2):
        clock.learn(said(first, timedelta(minutes=-30)))
    program = "from hatchway.client.api import clock; print(clock._offset.total_seconds())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert abs(float(done.stdout) + 1800) < 60
    assert capfd.readouterr().err + done.stderr == (
        "hatchway: this machine's clock is 30 minutes ahead of the server's, whose time is used: set it\n"
    )


@pytest.mark.parametrize("text", ["", "x", "9" * 400, "-90000", "1e3"])
def test_what_no_process_of_ours_can_have_left_is_not_believed(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(clock._TOLD_BEFORE, text)
    assert clock._inherited() == timedelta()
