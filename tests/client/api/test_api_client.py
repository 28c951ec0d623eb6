"""Questions of the API that are asked again: which, how often, and what the end of a connection costs."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from hatchway.client.api import clock
from hatchway.client.api.api_client import ApiClient
from hatchway.client.api.http_connection import HttpConnection
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.api.shared_files import Credentials
from hatchway.client.connection.retry import RetryBudget
from hatchway.client.connection.tls import Trust
from hatchway.client.errors import ApiError
from hatchway.sigv4.errors import RequestExpired

PUSHED = b'{"RequestId": "1", "Success": true}'
KEY = {"InstanceId": "i-0123456789abcdef0", "InstanceOSUser": "bob", "SSHPublicKey": "ssh-ed25519 AAAA"}
UNAVAILABLE = {"__type": "ServiceUnavailableException", "message": "not now"}
HANG_UP = b""
"""In the place of an answer."""


def answer(status: int, body: object = PUSHED, *, headers: str = "") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode() + content


@dataclass
class Server:
    """Gives one answer after the other, whatever is asked, and the last one for ever."""

    answers: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The date of each request."""
    connections: int = 0
    url: str = ""

    def attend(self, sock: socket.socket) -> None:
        self.connections += 1
        received = b""
        with sock, suppress(OSError):
            while True:
                while b"\r\n\r\n" not in received:
                    if not (data := sock.recv(65_536)):
                        return
                    received += data
                head, _, received = received.partition(b"\r\n\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
                while len(received) < (size := int(headers.get("content-length", 0))):
                    received += sock.recv(65_536)
                received = received[size:]
                self.asked.append(headers.get("x-amz-date", ""))
                said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if said == HANG_UP:
                    return
                sock.sendall(said)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=server.attend, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """In the place of waiting."""
    waited: list[float] = []
    monkeypatch.setattr("hatchway.client.api.api_client.time.sleep", waited.append)
    return waited


@pytest.fixture(autouse=True)
def right_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_offset", timedelta())
    monkeypatch.setenv(clock._TOLD_BEFORE, "0")


def api_client(
    server: Server, timeout: float | None = None, retry_budget: RetryBudget | None = None
) -> ApiClient:
    return ApiClient(
        region="us-east-1",
        credentials=lambda: Credentials("AKIAEXAMPLE", "secret"),
        url=lambda _: server.url,
        trust=lambda: Trust(None),
        timeout=timeout,
        retry_budget=retry_budget,
    )


@pytest.mark.parametrize(
    "refusal",
    [
        answer(503, UNAVAILABLE),
        answer(500, b"<html>"),
        answer(429, {"__type": "x#TooManyRequests"}),
        answer(502, b""),
        answer(504, b""),
        answer(400, {"__type": "ThrottlingException", "message": "Rate exceeded"}),
        answer(400, b"<R><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></R>"),
    ],
)
def test_what_passes_is_asked_again_after_pauses_that_grow(
    server: Server, pauses: list[float], refusal: bytes
) -> None:
    server.answers = [refusal, refusal, refusal, answer(200)]
    assert api_client(server).send_ssh_public_key(**KEY)["Success"]
    assert [pause / pauses[0] for pause in pauses] == [1, 2, 4]
    assert (len(server.asked), server.connections) == (4, 1)


def test_it_is_not_asked_for_ever(server: Server, pauses: list[float]) -> None:
    server.answers = [answer(503, UNAVAILABLE)]
    with pytest.raises(ApiError, match="SendSSHPublicKey: ServiceUnavailableException: not now"):
        api_client(server).send_ssh_public_key(**KEY)
    assert (len(server.asked), len(pauses)) == (4, 3)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_stands_before_a_server_that_is_just_restarting_is_asked_for_as_long_as_that_is_waited_for(
    server: Server, pauses: list[float], status: int
) -> None:
    told: list[str] = []
    away = answer(status, b"<html>")
    server.answers = [*[away] * 6, answer(200)]
    assert api_client(server, retry_budget=RetryBudget(told.append)).send_ssh_public_key(**KEY)["Success"]
    assert (len(server.asked), [line.partition(": ")[0] for line in told]) == (7, [f"HTTP status {status}"])


@pytest.mark.parametrize(("status", "code"), [(400, "AuthException"), (403, "AccessDeniedException")])
def test_what_is_refused_for_good_is_asked_once(
    server: Server, pauses: list[float], status: int, code: str
) -> None:
    server.answers = [answer(status, {"__type": code, "message": "no"})]
    with pytest.raises(ApiError) as caught:
        api_client(server).send_ssh_public_key(**KEY)
    assert (caught.value.code, len(server.asked), pauses) == (code, 1, [])


def test_who_gives_a_time_for_the_answer_is_not_made_to_wait_for_more_than_one(
    server: Server, pauses: list[float]
) -> None:
    server.answers = [answer(503, UNAVAILABLE), answer(200)]
    with pytest.raises(ApiError):
        api_client(server, timeout=30).send_ssh_public_key(**KEY)
    assert (len(server.asked), pauses) == (1, [])


def test_a_clock_that_is_wrong_is_noticed_and_the_question_asked_at_once_at_the_server_s_time(
    server: Server, pauses: list[float]
) -> None:
    now = datetime.now(UTC)
    expired = {"__type": "RequestExpired", "message": str(RequestExpired(now, now + timedelta(hours=3)))}
    server.answers = [answer(403, expired), answer(200)]
    assert api_client(server).send_ssh_public_key(**KEY)["Success"]
    first, second = (datetime.strptime(date, "%Y%m%dt%H%M%Sz") for date in server.asked)
    assert second - first > timedelta(hours=2)
    assert pauses == []


def test_whoever_asks_by_botocore_is_given_the_server_s_time_too(
    server: Server, pauses: list[float], aws_environment: Path
) -> None:
    now = datetime.now(UTC)
    expired = {"__type": "RequestExpired", "message": str(RequestExpired(now, now + timedelta(hours=3)))}
    key = {**KEY, "SSHPublicKey": f"ssh-ed25519 {'A' * 68}"}
    server.answers = [answer(403, expired), answer(200)]
    profile = Profile(ProfileOptions(region="us-east-1", endpoint_url=server.url))
    assert profile.api("ec2-instance-connect").send_ssh_public_key(**key)["Success"]
    first, second = (datetime.strptime(date, "%Y%m%dt%H%M%Sz") for date in server.asked)
    assert second - first > timedelta(hours=2)
    # Once: a server that says another time with each answer is not asked for ever.
    server.answers = [answer(403, {**expired, "message": str(RequestExpired(now, now - timedelta(hours=3)))})]
    with pytest.raises(ClientError, match="RequestExpired"):
        profile.api("ec2-instance-connect").send_ssh_public_key(**key)
    assert len(server.asked) == 4


def test_a_connection_that_was_closed_meanwhile_is_made_again(server: Server) -> None:
    server.answers = [answer(200), HANG_UP, answer(200)]
    asking = api_client(server)
    for _ in range(2):
        assert asking.send_ssh_public_key(**KEY)["Success"]
    assert (len(server.asked), server.connections) == (3, 2)


def test_one_that_is_closed_without_an_answer_each_time_is_told_of(server: Server) -> None:
    server.answers = [HANG_UP]
    with pytest.raises(ApiError, match="Connection was closed before there was an answer from"):
        api_client(server).send_ssh_public_key(**KEY)
    assert len(server.asked) == 2


def test_a_server_that_is_just_restarting_is_waited_for_which_is_told_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("hatchway.client.connection.retry.time.sleep", lambda _: None)
    server.answers = [*[HANG_UP] * 4, answer(200)]
    assert api_client(server, retry_budget=RetryBudget(told.append)).send_ssh_public_key(**KEY)["Success"]
    assert len(server.asked) == 5
    with socket.socket() as later:
        later.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{later.getsockname()[1]}"
        # It refuses until somebody has waited for it, and is nobody's to answer then.
        monkeypatch.setattr("hatchway.client.connection.retry.time.sleep", lambda _: later.listen())
        retry_budget = RetryBudget(told.append)
        HttpConnection(server.url, lambda: Trust(None), retry_budget=retry_budget).send_all([])
    first, second = told
    assert first.startswith("Connection was closed before there was an answer from")
    assert second == (
        f'Could not connect to the endpoint URL: "{server.url}": see that Hatchway runs, and its API listens'
        " there: trying again for 5 seconds"
    )


def test_one_that_stays_away_is_told_of_in_the_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count()
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None)
    monkeypatch.setattr("hatchway.client.connection.retry.time", clock)
    server.answers = [HANG_UP]
    told: list[str] = []
    with pytest.raises(ApiError, match="SendSSHPublicKey: Connection was closed before there was an answer"):
        api_client(server, retry_budget=RetryBudget(told.append)).send_ssh_public_key(**KEY)
    assert len(told) == 1
    assert len(server.asked) > 2


def test_questions_sent_ahead_are_each_answered_by_a_server_that_answers_one_on_a_connection(
    server: Server,
) -> None:
    server.answers = [answer(200, b"<R><a>1</a></R>", headers="Connection: close\r\n")]
    asking = api_client(server)
    first, second = {"InstanceIds": ["i-1"]}, {"InstanceIds": ["i-2"]}
    asking.prefetch(("DescribeInstances", first), ("DescribeInstances", second))
    assert asking.describe_instances(**first) == asking.describe_instances(**second) == {"A": "1"}
    assert server.connections == 2
    asking.close()


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH_9.6\r\n\r\n", answer(200, b"[1]"), answer(200, b"x")])
def test_what_does_not_answer_as_the_api_does_is_no_api(server: Server, said: bytes) -> None:
    server.answers = [said]
    with pytest.raises(ApiError, match="not that of Hatchway's API"):
        api_client(server).send_ssh_public_key(**KEY)


@pytest.mark.parametrize("differ", [False, True])
def test_pages_without_an_end_are_told_of(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, differ: bool
) -> None:
    monkeypatch.setattr("hatchway.client.api.api_client._MOST_PAGES", 5)
    pages = [f"<R><nextToken>{number if differ else 0}</nextToken></R>" for number in range(9)]
    server.answers = [answer(200, page.encode()) for page in pages]
    with pytest.raises(ApiError, match="DescribeInstances: there is no end of its pages"):
        list(api_client(server).get_paginator("describe_instances").paginate())
    assert len(server.asked) == (5 if differ else 2)


def test_a_server_that_says_nothing_is_not_waited_for_longer_than_asked(server: Server) -> None:
    server.answers = [b"HTTP/1.1 200 OK\r\n"]
    with pytest.raises(ApiError, match=r"Read timeout on endpoint URL: .*: nothing within 0\.1 seconds: see"):
        api_client(server, timeout=0.1).send_ssh_public_key(**KEY)


@pytest.mark.parametrize("url", ["https://nowhere.invalid", "https://a..b"])
def test_what_cannot_be_connected_to_is_told(url: str) -> None:
    with pytest.raises(ApiError, match="Could not connect to the endpoint URL"):
        HttpConnection(url, lambda: Trust(None)).send_all([])
