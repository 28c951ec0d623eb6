"""Waiting for what happens in its own time, and ports that nobody else takes."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeVar

_T = TypeVar("_T")

_PAUSE_SECONDS = 0.05

_FIRST_PORT: Final = 10_000

_held = ExitStack()
"""What tells other processes which ports this one has given away: abstract sockets, gone when it ends."""


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


def free_port(address: str = "127.0.0.1", following: int = 0) -> int:
    """A TCP port of `address`, with so many following it, where a server may listen later, again and again.

    Nobody else has it meanwhile. The kernel gives none of these to connections, nor to who asks for any port
    (ip(7), ip_local_port_range); and no other test gets it before this process ends, of this run or another.
    It is of the calling thread's network (`Machine.joined`).
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        port = random.randrange(_FIRST_PORT, _first_chosen_by_the_kernel() - following)
        with ExitStack() as taken:
            try:
                for each in range(port, port + following + 1):
                    taken.enter_context(socket.socket(socket.AF_UNIX)).bind(f"\0hatchway-test-port-{each}")
                    with socket.socket(family) as probe:
                        probe.bind((address, each))
            except OSError:
                continue
            _held.push(taken.pop_all())
            return port


def _first_chosen_by_the_kernel() -> int:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Where it may choose nearly any, another may have one of them at times.
    return first if first > 2 * _FIRST_PORT else 32_768
