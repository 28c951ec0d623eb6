"""Whether this process may connect from others' addresses."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a capability up")
def test_the_capability_is_looked_for() -> None:
    program = """
import ctypes
from hatchway.transport.connection.transparency import may_take_addresses
from hatchway.privileges import CAP_NET_RAW, become
print(may_take_addresses())
become("nobody", keep=CAP_NET_RAW)
print(may_take_addresses())
ctypes.CDLL(None).capset((0x20080522).to_bytes(4, "little") + bytes(4), bytes(24))
print(may_take_addresses())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
