"""Prometheus is answered where it is told to ask, and by nobody else."""

import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, suppress

import pytest
from prometheus_client import CollectorRegistry, Counter

from hatchway.metrics_listener import LARGEST_HEAD, MOST_CONNECTIONS, Answer, Question, metrics_listener
from hatchway.settings import Address

LOOPBACK = "127.0.0.1"


class StubMetrics:
    """What a process tells."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.is_ready = False
        Counter("opened", "How many were opened.", registry=self.registry).inc(3)


def test_without_an_address_nobody_listens() -> None:
    with metrics_listener(StubMetrics(), None) as listener:
        assert listener is None


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
def test_prometheus_is_answered_on_a_listener_of_its_own(host: str) -> None:
    with metrics_listener(StubMetrics(), Address(host, 0)) as listener:
        assert listener is not None
        url = f"http://{Address(host, listener.port or 0)}/metrics"
        answer = urllib.request.urlopen(url, timeout=60)
        assert answer.headers.get_content_type() == "text/plain"
        assert b"\nopened_total 3.0\n" in answer.read()
        answer.close()
    with pytest.raises(OSError):
        urllib.request.urlopen(url, timeout=60)


def test_who_asks_to_drain_is_told_apart_and_answered_where_a_process_can_be_asked() -> None:
    questions: list[Question] = []

    def drain(question: Question) -> Answer:
        questions.append(question)
        return Answer("405 Method Not Allowed", "not so", "POST")

    with metrics_listener(StubMetrics(), Address(LOOPBACK, 0), drain=drain) as listener:
        assert listener is not None
        url = f"http://{LOOPBACK}:{listener.port}/drain"
        asking = urllib.request.Request(url, method="PUT", headers={"Origin": "https://a.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asking, timeout=60)
        with refused.value as answer:
            assert (answer.code, answer.headers["Allow"], answer.read()) == (405, "POST", b"not so\n")
    assert questions == [Question("PUT", LOOPBACK, "https://a.example")]
    with metrics_listener(StubMetrics(), Address(LOOPBACK, 0)) as listener:
        assert listener is not None
        answer = urllib.request.urlopen(f"http://{LOOPBACK}:{listener.port}/drain", timeout=60)
        assert b"\nopened_total 3.0\n" in answer.read(), "a process that cannot be asked"
        answer.close()


def test_strangers_who_ask_for_nothing_keep_nobody_out_and_are_not_served_for_ever() -> None:
    with metrics_listener(StubMetrics(), Address(LOOPBACK, 0)) as listener, ExitStack() as stack:
        assert listener is not None
        place = LOOPBACK, listener.port or 0
        before = threading.active_count()
        idle = [stack.enter_context(socket.create_connection(place)) for _ in range(4 * MOST_CONNECTIONS)]
        for each in idle:
            each.settimeout(60)
        url = f"http://{LOOPBACK}:{listener.port}/metrics"
        assert urllib.request.urlopen(url, timeout=60).status == 200
        assert idle[0].recv(1) == b"", "closed for those who came later"
        assert threading.active_count() - before <= 2 * MOST_CONNECTIONS
        assert idle[-1].recv(1) == b"", "closed for it has asked for nothing"


def test_a_port_that_another_has_is_named() -> None:
    with metrics_listener(StubMetrics(), Address(LOOPBACK, 0)) as first:
        assert first is not None
        taken = Address(LOOPBACK, first.port or 0)
        with (
            pytest.raises(OSError, match=f"{LOOPBACK}:{first.port} for metrics"),
            metrics_listener(StubMetrics(), taken),
        ):
            pass


def test_a_patient_listener_has_the_port_when_the_one_before_it_lets_go() -> None:
    with metrics_listener(StubMetrics(), Address("127.0.0.1", 0)) as first:
        assert first is not None
        port = first.port
        assert port is not None
        with pytest.raises(OSError), metrics_listener(StubMetrics(), Address("127.0.0.1", port)):
            pass
        with metrics_listener(StubMetrics(), Address("127.0.0.1", port), patient=True) as second:
            assert second is not None
            assert second.port is None
            first.close()
            end = time.monotonic() + 60
            while second.port is None and time.monotonic() < end:
                time.sleep(0.05)
            assert urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60).status == 200


@pytest.mark.parametrize("beginning", [b"GET /", b"GET /metrics HTTP/1.0\r\nA: "])
def test_a_line_without_end_is_read_to_a_bound_and_not_to_its_end(
    beginning: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Silence does not end it.
    monkeypatch.setattr("hatchway.metrics_listener._Handler.timeout", None)
    with metrics_listener(StubMetrics(), Address(LOOPBACK, 0)) as listener:
        assert listener is not None
        with socket.create_connection((LOOPBACK, listener.port or 0)) as stranger, suppress(ConnectionError):
            stranger.settimeout(30)
            stranger.sendall(beginning + bytes(LARGEST_HEAD))
            assert stranger.recv(65_536).startswith((b"", b"HTTP/1.0 431 "))
