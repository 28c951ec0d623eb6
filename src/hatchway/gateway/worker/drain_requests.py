"""HTTP requests to stop accepting tunnels, so that load balancers send clients elsewhere first."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import structlog

from hatchway.domain.addresses import parse_address
from hatchway.metrics_listener import Answer
from hatchway.transport.own_addresses import OwnAddresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.metrics_listener import Question

log = structlog.get_logger("hatchway.gateway")


class DrainRequests:
    """What programs on this machine have asked for: `POST` begins a drain, `DELETE` takes it back.

    Only this machine may ask: from one of its own addresses, from which nobody elsewhere can connect, and not
    from a page in its browser. The threads of the metrics listener answer; the event loop reads the result.
    """

    def __init__(self, notice: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`notice`: seconds for which tunnels are still opened, so that load balancers have time to react."""
        self._notice = notice
        self._clock = clock
        self._since: float | None = None

    @property
    def is_asked(self) -> bool:
        return self._since is not None

    @property
    def refuses(self) -> bool:
        """Whether the notice is over."""
        since = self._since
        return since is not None and self._clock() >= since + self._notice

    def answer(self, question: Question) -> Answer:
        if question.method not in ("POST", "DELETE"):
            text = "POST to drain, DELETE to take tunnels again"
            return Answer("405 Method Not Allowed", text, "POST, DELETE")
        if question.origin is not None or not _is_this_machine(question.peer):
            return Answer("403 Forbidden", "only a program on this machine itself may ask for that")
        if question.method == "DELETE":
            if self._since is not None:
                self._since = None
                log.info("gateway takes tunnels again", asked_by=question.peer)
            return Answer("200 OK", "taking tunnels")
        now = self._clock()
        since = self._since
        if since is None:
            self._since = since = now
            log.info("gateway drains when asked", asked_by=question.peer, notice=self._notice)
        left = max(0.0, since + self._notice - now)
        return Answer("200 OK", f"not ready any more; refusing tunnels in {left:.0f} seconds")


def _is_this_machine(peer: str) -> bool:
    try:
        address = parse_address(peer)
    except ValueError:
        return False
    with closing(OwnAddresses()) as own:
        return own.holds(address)
