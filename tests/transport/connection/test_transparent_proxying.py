"""Whether this process may connect from others' addresses."""

import os
import socket
import subprocess
import sys
from ipaddress import ip_address

import pytest

from hatchway.transport.connection import transparent_proxying
from hatchway.transport.connection.transparent_proxying import may_take_addresses, take_address


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a capability up")
def test_the_capability_is_looked_for() -> None:
    program = """
import ctypes
from hatchway.transport.connection.transparent_proxying import may_take_addresses
from hatchway.privileges import CAP_NET_RAW, become
print(may_take_addresses())
become("nobody", keep=CAP_NET_RAW)
print(may_take_addresses())
ctypes.CDLL(None).capset((0x20080522).to_bytes(4, "little") + bytes(4), bytes(24))
print(may_take_addresses())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]


def test_an_address_that_is_not_the_machines_is_taken_or_refused_as_was_said() -> None:
    with socket.socket() as sock:
        if may_take_addresses():
            take_address(sock, ip_address("192.0.2.7"))
            assert sock.getsockname()[0] == "192.0.2.7"
        else:
            with pytest.raises(PermissionError):
                take_address(sock, ip_address("192.0.2.7"))


def test_a_kernel_that_knows_no_such_option_takes_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transparent_proxying, "_IP_TRANSPARENT", 9999)
    assert not may_take_addresses()
