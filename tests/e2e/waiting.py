"""Waiting for what happens in its own time, and ports that nobody uses."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

_PAUSE_SECONDS = 0.05


def wait_until(
    predicate: Callable[[], _T],
    timeout: float = 60,
    message: Callable[[], str] = lambda: "it did not come to be",
) -> _T:
    """Call `predicate` until it returns something true; return that.

    Raises:
        AssertionError: it did not within `timeout` seconds; `message` then says what is the matter.
    """
    deadline = time.monotonic() + timeout
    while not (result := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{message()} (waited {timeout} seconds)")
        time.sleep(_PAUSE_SECONDS)
    return result


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port of `address` that nothing listens on, in the calling thread's network (`Machine.joined`)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
