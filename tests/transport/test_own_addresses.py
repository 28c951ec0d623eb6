"""What the kernel says of addresses: which are this machine's."""

import errno
import ipaddress
import socket
import struct
from pathlib import Path

import pytest

from hatchway.transport import own_addresses
from hatchway.transport.own_addresses import OwnAddresses, interface_addresses, reached_at

LOCAL = ["127.0.0.1", "127.200.3.4", "::1", "0.0.0.0", "::"]
ELSEWHERE = ["192.0.2.77", "203.0.113.1", "2001:db8::77", "fe80::77", "255.255.255.254"]


def asked_by_socket() -> OwnAddresses:
    own = OwnAddresses()
    own.close()
    own._socket = None
    return own


@pytest.mark.parametrize("make", [OwnAddresses, asked_by_socket])
def test_loopback_and_every_interfaces_address_are_this_machines(make: type[OwnAddresses]) -> None:
    own = make()
    for text in (*LOCAL, *interface_addresses()):
        assert own.holds(ipaddress.ip_address(text)), text
    for text in ELSEWHERE:
        assert not own.holds(ipaddress.ip_address(text)), text
    own.close()


def test_a_question_that_the_kernel_does_not_answer_is_asked_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As a system call filter has it: systemd's RestrictAddressFamilies.
    def refused(*_: object, **__: object) -> None:
        raise OSError(97, "Address family not supported by protocol")

    with monkeypatch.context() as patched:
        patched.setattr("socket.socket", refused)
        own = OwnAddresses()
    assert not own.is_exact
    assert own.holds(ipaddress.ip_address("127.0.0.1"))


def test_answers_belong_to_their_questions() -> None:
    own = OwnAddresses()
    if not own.is_exact:
        pytest.fail("this machine tells no routes")
    for _ in range(200):
        assert own.holds(ipaddress.ip_address("127.0.0.9"))
        assert not own.holds(ipaddress.ip_address("192.0.2.78"))
    own.close()


def test_a_server_is_reached_at_all_of_its_machines_addresses_or_at_its_own() -> None:
    assert reached_at("0.0.0.0") == reached_at("::") == interface_addresses()
    assert reached_at("127.0.0.1") == reached_at("localhost") == frozenset()
    assert reached_at("192.0.2.7") == {"192.0.2.7"}
    with pytest.raises(socket.gaierror):
        reached_at("nobody.invalid")


class Kernel:
    """Answers as rtnetlink does: an error for each question, or nothing that is long enough."""

    def __init__(self, number: int | None) -> None:
        self._number = number
        self._sequence = b""

    def send(self, question: bytes) -> None:
        self._sequence = question[8:12]

    def recv(self, _size: int) -> bytes:
        if self._number is None:
            return b""
        return struct.pack("=IHH", 20, 2, 0) + self._sequence + struct.pack("=Ii", 0, -self._number)


def answering(number: int | None) -> OwnAddresses:
    own = OwnAddresses()
    own.close()
    own._socket = Kernel(number)  # type: ignore[assignment]
    return own


def test_an_address_without_a_route_is_not_this_machines() -> None:
    assert not answering(errno.ENETUNREACH).holds(ipaddress.ip_address("192.0.2.1"))


@pytest.mark.parametrize("number", [errno.EPERM, None])
def test_an_answer_that_says_nothing_of_the_route_is_no_answer(number: int | None) -> None:
    own = answering(number)
    (address, *_) = interface_addresses() or {"127.0.0.1"}
    assert own.holds(ipaddress.ip_address(address))
    assert not own.holds(ipaddress.ip_address("192.0.2.77"))


def test_what_is_left_of_an_earlier_question_is_passed_over() -> None:
    own = OwnAddresses()
    assert own._socket is not None, "this machine tells no routes"
    real: socket.socket = own._socket

    class Twice:
        """Asks of 127.0.0.9 first, under another number, and leaves the answer to that where it is."""

        def send(self, question: bytes) -> None:
            other = ipaddress.ip_address("127.0.0.9").packed
            real.send(question[:8] + b"\xff\xff\xff\xff" + question[12:-4] + other)
            real.send(question)

        def recv(self, size: int) -> bytes:
            return real.recv(size)

    own._socket = Twice()  # type: ignore[assignment]
    assert not own.holds(ipaddress.ip_address("192.0.2.78"))
    own._socket = real
    assert not own.holds(ipaddress.ip_address("192.0.2.79"))
    own.close()


def test_a_netlink_socket_that_cannot_be_bound_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unbound(socket.socket):
        def bind(self, _address: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr("socket.socket", Unbound)
        assert not OwnAddresses().is_exact


def test_a_machine_without_ipv6_has_ipv4_addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(own_addresses, "_IF_INET6", tmp_path / "absent")
    assert all(ipaddress.ip_address(each).version == 4 for each in interface_addresses())
