"""Who is told of his socket when: whoever has little to do waits for nobody who has much."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.transport.harness import run, until

from hatchway.transport.connection.readiness import READABLE, Readiness

if TYPE_CHECKING:
    from collections.abc import Iterator


class Noting:
    """Notes each call in a list that it shares with others. It never reads, so it is told again and again."""

    def __init__(self, name: str, calls: list[str], *, is_untrusted: bool = False) -> None:
        self.name = name
        self.calls = calls
        self.is_untrusted = is_untrusted

    def happened(self, _events: int) -> None:
        self.calls.append(self.name)

    def abort(self) -> None:
        self.calls.append(f"{self.name} aborted")


@contextmanager
def readable() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"x")
        yield ours


def test_a_untrusted_has_its_turn_when_all_others_have_had_theirs() -> None:
    async def test() -> None:
        calls: list[str] = []
        with ExitStack() as stack:
            readiness = Readiness(asyncio.get_running_loop())
            sockets = [stack.enter_context(readable()) for _ in range(12)]
            for number, sock in enumerate(sockets[:10]):
                watcher = Noting(f"untrusted {number}", calls, is_untrusted=True)
                readiness.watch(sock.fileno(), READABLE, watcher)
            for name, sock in zip(("one", "other"), sockets[10:], strict=True):
                readiness.watch(sock.fileno(), READABLE, Noting(name, calls))
            await until(lambda: len([call for call in calls if call.startswith("untrusted")]) >= 30)
            for sock in sockets:
                readiness.forget(sock.fileno())
        turns = [at for at, call in enumerate(calls) if call.startswith("untrusted")]
        between = [calls[turn + 1 : following] for turn, following in pairwise(turns)]
        assert all({"one", "other"} <= set(told) for told in between)
        # They themselves take turns.
        assert len({calls[turn] for turn in turns[:10]}) == 10

    run(test)


def test_a_untrusted_that_is_watched_no_more_is_not_told() -> None:
    async def test() -> None:
        calls: list[str] = []
        with readable() as one, readable() as other:
            readiness = Readiness(asyncio.get_running_loop())
            descriptors = {"one": one.fileno(), "other": other.fileno()}

            class Ending(Noting):
                def happened(self, events: int) -> None:
                    super().happened(events)
                    for descriptor in descriptors.values():
                        readiness.forget(descriptor)

            for name, descriptor in descriptors.items():
                readiness.watch(descriptor, READABLE, Ending(name, calls, is_untrusted=True))
            await until(lambda: bool(calls))
            await asyncio.sleep(0.01)
            assert len(calls) == 1

    run(test)
