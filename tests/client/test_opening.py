"""A connection to a gateway that is made before it is known whether it will be asked."""

import socket
import ssl

import pytest
from tests.client.stubs import StubGateway, tunnel_plan
from tests.client.test_tunnel import Says

from hatchway.client.dialling import dial
from hatchway.client.errors import GatewayUnreachable
from hatchway.client.opening import Ahead, not_reached, open_by_any
from hatchway.client.tls import Trust


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The port of each connection that is made."""
    ports: list[int] = []

    def counted(host: str, port: int, timeout: float, source: str | None = None) -> socket.socket:
        ports.append(port)
        return dial(host, port, timeout, source)

    monkeypatch.setattr("hatchway.client.opening.dial", counted)
    return ports


@pytest.fixture
def trust(gateway: StubGateway) -> Trust:
    gateway.answer = lambda: Says(b"hello", 1000, "")
    return Trust(gateway.ca_bundle)


def test_it_is_the_one_that_is_asked(gateway: StubGateway, trust: Trust, dialled: list[int]) -> None:
    plan = tunnel_plan(gateway)
    open_by_any(plan, trust, Ahead(plan.route, trust)).sock.close()
    assert (len(dialled), len(gateway.requests)) == (1, 1)


def test_one_that_was_closed_meanwhile_is_made_again(
    gateway: StubGateway, trust: Trust, dialled: list[int]
) -> None:
    plan = tunnel_plan(gateway)
    ahead = Ahead(plan.route, trust)
    ahead._thread.join(30)
    assert ahead._sock is not None
    ahead._sock.shutdown(socket.SHUT_RDWR)
    open_by_any(plan, trust, ahead).sock.close()
    assert (len(dialled), len(gateway.requests)) == (2, 1)


def test_one_that_leads_elsewhere_is_not_asked(
    gateway: StubGateway, trust: Trust, dialled: list[int]
) -> None:
    plan = tunnel_plan(gateway)
    ahead = Ahead(plan.route._replace(dns_name="localhost"), trust)
    open_by_any(plan, trust, ahead).sock.close()
    ahead._thread.join(30)
    assert (len(dialled), len(gateway.requests)) == (2, 1)


def test_what_one_fails_of_is_told_when_that_gateway_is_needed(
    gateway: StubGateway, trust: Trust, dialled: list[int]
) -> None:
    plan = tunnel_plan(gateway)
    gone = plan._replace(route=plan.route._replace(port=1))
    with pytest.raises(
        GatewayUnreachable, match=r": Connection refused: no gateway listens there; while one restarts, try"
    ):
        open_by_any(gone, trust, Ahead(gone.route, trust))
    assert dialled == [1, 1]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x (_ssl.c:1)"), "what listens there is no gateway"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known: have the name in"),
        (OSError(113, "No route to host"), "No route to host"),
        (OSError("the proxy refuses: x"), "the proxy refuses: x"),
    ],
)
def test_why_there_is_no_connection_is_said_in_words(error: OSError, said: str) -> None:
    assert said in not_reached(error)
    assert "Errno" not in not_reached(error)
