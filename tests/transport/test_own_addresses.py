"""What the kernel says of addresses: which are this machine's."""

import ipaddress
import socket

import pytest

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
