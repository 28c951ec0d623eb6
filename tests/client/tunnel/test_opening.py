"""A connection to a gateway that is made before it is known whether it will be asked."""

import os
import socket
import ssl
import threading
import time
from typing import Any

import pytest
from picows import WSListener, WSTransport
from tests.client.stubs import Answer, StubGateway, refusal, tunnel_plan
from tests.client.tunnel.test_tunnel import Says

from hatchway.client.connection.connection import create_connection
from hatchway.client.connection.retry import RetryBudget
from hatchway.client.connection.tls import Trust
from hatchway.client.errors import GatewayUnreachable, TunnelClosed, TunnelRefused
from hatchway.client.tunnel import opening
from hatchway.client.tunnel.local import LocalEnd
from hatchway.client.tunnel.opening import Preconnection, not_reached, open_by_any, open_with_retries
from hatchway.client.tunnel.stream_relay import carry


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The port of each connection that is made."""
    ports: list[int] = []

    def counted(host: str, port: int, timeout: float, source: str | None = None) -> socket.socket:
        ports.append(port)
        return create_connection(host, port, timeout, source)

    monkeypatch.setattr("hatchway.client.tunnel.opening.create_connection", counted)
    return ports


@pytest.fixture
def trust(gateway: StubGateway) -> Trust:
    gateway.answer = lambda: Says(b"hello", 1000, "")
    return Trust(gateway.ca_bundle)


def test_it_is_the_one_that_is_asked(gateway: StubGateway, trust: Trust, dialled: list[int]) -> None:
    plan = tunnel_plan(gateway)
    open_by_any(plan, trust, Preconnection(plan.route, trust)).sock.close()
    assert (len(dialled), len(gateway.requests)) == (1, 1)


def test_one_that_was_closed_meanwhile_is_made_again(
    gateway: StubGateway, trust: Trust, dialled: list[int]
) -> None:
    plan = tunnel_plan(gateway)
    preconnection = Preconnection(plan.route, trust)
    preconnection._thread.join(30)
    assert preconnection._sock is not None
    preconnection._sock.shutdown(socket.SHUT_RDWR)
    open_by_any(plan, trust, preconnection).sock.close()
    assert (len(dialled), len(gateway.requests)) == (2, 1)


def test_one_that_leads_elsewhere_is_not_asked(
    gateway: StubGateway, trust: Trust, dialled: list[int]
) -> None:
    plan = tunnel_plan(gateway)
    preconnection = Preconnection(plan.route._replace(dns_name="localhost"), trust)
    open_by_any(plan, trust, preconnection).sock.close()
    preconnection._thread.join(30)
    assert (len(dialled), len(gateway.requests)) == (2, 1)


@pytest.mark.parametrize("is_there", [True, False])
def test_one_that_leads_elsewhere_is_closed_at_once_or_when_it_is_there(
    gateway: StubGateway, trust: Trust, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    made: list[socket.socket] = []
    may_connect = threading.Event()
    connect = opening.connect

    def kept(*arguments: Any) -> Any:
        may_connect.wait(30)
        sock = connect(*arguments)
        made.append(sock)
        return sock

    monkeypatch.setattr(opening, "connect", kept)
    plan = tunnel_plan(gateway)
    preconnection = Preconnection(plan.route, trust)
    if is_there:
        may_connect.set()
        preconnection._thread.join(30)
    assert preconnection.take(plan.route._replace(dns_name="localhost"), time.monotonic() + 30) is None
    may_connect.set()
    preconnection._thread.join(30)
    assert [sock.fileno() for sock in made] == [-1]


def test_what_one_fails_of_is_told_when_that_gateway_is_needed(
    gateway: StubGateway, trust: Trust, dialled: list[int]
) -> None:
    plan = tunnel_plan(gateway)
    gone = plan._replace(route=plan.route._replace(port=1))
    with pytest.raises(
        GatewayUnreachable, match=r": Connection refused: no gateway listens there, or it is restarting"
    ):
        open_by_any(gone, trust, Preconnection(gone.route, trust))
    assert dialled == [1, 1]


def test_a_gateway_that_is_just_restarting_is_waited_for_which_is_told_once(
    gateway: StubGateway, trust: Trust, dialled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tunnel_plan(gateway)
    told: list[str] = []
    stopping = b'{"ErrorCode": "ServiceUnavailable", "Message": "Gateway is shutting down."}'
    answers: list[Answer] = [refusal(503, stopping), Says(b"hello", 1000, "")]
    gateway.answer = lambda: answers.pop(0)
    waited: list[float] = []
    monkeypatch.setattr("hatchway.client.connection.retry.time.sleep", waited.append)

    def not_yet(host: str, port: int, timeout: float, source: str | None = None) -> socket.socket:
        # Refused at first, and closed by what stands before it then.
        dialled.append(port)
        if len(dialled) == 1:
            port = 1
        elif len(dialled) == 2:
            near, far = socket.socketpair()
            far.close()
            return near
        return create_connection(host, port, timeout, source)

    monkeypatch.setattr("hatchway.client.tunnel.opening.create_connection", not_yet)
    open_with_retries(plan, trust, None, RetryBudget(told.append)).sock.close()
    assert (len(dialled), len(gateway.requests), len(waited)) == (4, 2, 3)
    (line,) = told
    assert line.endswith("no gateway listens there, or it is restarting: trying again for 5 seconds")


@pytest.mark.parametrize("status", [400, 403, 404, 429])
def test_one_that_refuses_is_asked_once(gateway: StubGateway, trust: Trust, status: int) -> None:
    gateway.answer = lambda: refusal(status, b"{}")
    with pytest.raises(TunnelRefused):
        open_with_retries(tunnel_plan(gateway), trust, None, RetryBudget(pytest.fail))
    assert len(gateway.requests) == 1


def test_a_tunnel_that_was_opened_is_not_asked_for_again_when_its_gateway_goes(
    gateway: StubGateway, trust: Trust
) -> None:
    class Goes(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.disconnect()

    gateway.answer = Goes
    read, written = os.pipe()
    with open(read, "rb") as input, open(written, "wb") as output:  # noqa: PTH123
        local = LocalEnd(input.fileno(), output.fileno(), input_waits=True, output_waits=True)
        with pytest.raises(TunnelClosed):
            carry(tunnel_plan(gateway), trust, local, retry_budget=RetryBudget(pytest.fail))
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x (_ssl.c:1)"), "what listens there is no gateway"),
        (ssl.SSLEOFError(8, "[SSL: UNEXPECTED_EOF_WHILE_READING] x"), "ended before there was an answer: no"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known: have the name in"),
        (OSError(113, "No route to host"), "No route to host: see that the network is there"),
        (ConnectionResetError(104, "Connection reset by peer"), "peer: no gateway is behind it, or it is"),
        (OSError(99, "Cannot assign requested address"), "address: correct --source-address"),
        (OSError("the proxy refuses: x"), "the proxy refuses: x"),
    ],
)
def test_why_there_is_no_connection_is_said_in_words(error: OSError, said: str) -> None:
    assert said in not_reached(error)
    assert "Errno" not in not_reached(error)
