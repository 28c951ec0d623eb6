"""A tunnel's states: conversations as events in, actions out; then a walk through all that can happen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import pytest

from hatchway.gateway.tunnel.states import (
    CLIENT,
    LISTENED_TO,
    PASSED_ON,
    TARGET,
    TUNNEL,
    Action,
    ClientState,
    Event,
    TargetState,
    TunnelState,
    TunnelStates,
)

a, e = Action, Event

Conversation = list[tuple[Event, list[Action]]]

CONNECTED: Final = (e.TARGET_CONNECTED, [a.READ_TARGET, a.RESUME_CLIENT, a.DELIVER_HELD])


def converse(*conversation: tuple[Event, list[Action]]) -> TunnelStates:
    states = TunnelStates()
    for event, actions in conversation:
        assert list(states.on(event)) == actions, event
    return states


def test_a_client_that_closes_is_answered_and_its_target_gets_a_fin() -> None:
    states = converse(
        CONNECTED,
        (
            e.CLIENT_CLOSE_FRAME,
            [a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLIENT_CLOSED, a.SEND_FIN, a.REPORT_ENDED],
        ),
        (e.TARGET_FIN, [a.CLOSE_TARGET]),
        (e.TARGET_LOST, [a.RESUME_CLIENT]),
        (e.CLIENT_LOST, [a.REPORT_GONE]),
    )
    assert states.tunnel is TunnelState.GONE


def test_a_target_that_closes_still_gets_what_the_client_sends_before_its_answer() -> None:
    states = converse(CONNECTED, (e.TARGET_FIN, [a.SEND_CLOSE, a.RECORD_CLOSURE]))
    assert states.client in PASSED_ON
    assert states.tunnel is TunnelState.CARRYING
    for event, actions in (
        (e.CLIENT_CLOSE_FRAME, [a.DELIVER_FRAMES, a.HANG_UP, a.CLOSE_TARGET, a.REPORT_ENDED]),
        (e.CLIENT_LOST, []),
        (e.TARGET_LOST, [a.REPORT_GONE]),
    ):
        assert list(states.on(event)) == actions


def test_a_client_that_vanishes_leaves_its_target_a_fin() -> None:
    converse(
        CONNECTED,
        (e.CLIENT_LOST, [a.RECORD_CLOSURE, a.SEND_FIN, a.REPORT_ENDED]),
        (e.TARGET_OVERDUE, [a.ABORT_TARGET]),
        (e.TARGET_LOST, [a.REPORT_GONE]),
    )


def test_a_target_that_cannot_be_reached_closes_the_client() -> None:
    converse(
        (e.NO_TARGET, [a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE, a.DISCARD_HELD, a.REPORT_ENDED]),
        (e.CLOSE_UNANSWERED, [a.HANG_UP]),
        (e.CLIENT_LOST, [a.REPORT_GONE]),
    )


def test_what_a_client_sent_before_it_left_is_delivered_once_the_target_is_connected() -> None:
    converse(
        (
            e.CLIENT_CLOSE_FRAME,
            [a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLIENT_CLOSED, a.REPORT_ENDED],
        ),
        (e.TARGET_CONNECTED, [a.READ_TARGET, a.DELIVER_HELD, a.SEND_FIN]),
    )


def test_a_tunnel_that_is_cut_passes_nothing_on_and_goes_step_by_step() -> None:
    states = converse(
        CONNECTED,
        (
            e.CUT,
            [a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE, a.SEND_FIN, a.START_CUT_TIMER, a.REPORT_ENDED],
        ),
    )
    assert states.client in LISTENED_TO
    assert states.client not in PASSED_ON
    for event, actions in (
        (e.CUT, []),
        (e.CUT_TIMEOUT, [a.ABORT_CLIENT, a.START_LINGER_TIMER]),
        (e.CLIENT_LOST, []),
        (e.CUT_TIMEOUT, [a.ABORT_TARGET]),
        (e.TARGET_LOST, [a.CANCEL_TIMER, a.REPORT_GONE]),
    ):
        assert list(states.on(event)) == actions


def test_a_target_connected_in_the_moment_of_the_cut_gets_nothing() -> None:
    converse(
        (
            e.CUT,
            [
                a.SEND_CLOSE,
                a.RESUME_CLIENT,
                a.RECORD_CLOSURE,
                a.ABORT_CONNECTING,
                a.START_CUT_TIMER,
                a.REPORT_ENDED,
            ],
        ),
        (e.TARGET_CONNECTED, [a.READ_TARGET, a.ABORT_TARGET]),
    )


def test_a_client_at_fault_is_told_once_whatever_else_is_wrong() -> None:
    converse(
        CONNECTED,
        (
            e.CLIENT_FAULT,
            [a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLOSURE, a.SEND_FIN, a.REPORT_ENDED],
        ),
        (e.CLIENT_FAULT, []),
    )


# All that can happen. What two connections and their timers can do is said here by themselves, without the
# tables; where that leads is then compared with the tables.


@dataclass(frozen=True)
class World:
    """Two connections as they are, and what has been done to them."""

    client: str = "connected"  # listening, hung up, lost
    awaiting_answer: bool = False
    target: str = "none"  # none, connected, fin, lost, never
    lingering: bool = False
    aborted: bool = False
    timer: bool = False
    # What was done.
    close_sent: bool = False
    fin_sent: bool = False
    recorded: bool = False
    cut: bool = False
    ended: bool = False
    gone: bool = False

    def events(self) -> Iterator[Event]:
        """What can happen next."""
        yield from (e.CUT, e.DROP)
        if not self.recorded:
            # Only tunnels without an end are looked at.
            yield e.CLIENT_DEAD
        if self.client == "connected":
            yield e.CLIENT_CLOSE_FRAME
        if self.client in ("connected", "disconnecting"):
            yield e.CLIENT_FAULT
        if self.client != "lost":
            yield e.CLIENT_LOST
            if self.awaiting_answer:
                yield e.CLOSE_UNANSWERED
        if self.target == "none":
            yield from (e.TARGET_CONNECTED, e.NO_TARGET)
        if self.target == "connected" and not self.aborted:
            yield e.TARGET_FIN
        if self.target in ("connected", "fin"):
            yield e.TARGET_LOST
            if self.lingering:
                yield e.TARGET_OVERDUE
        if self.timer:
            yield e.CUT_TIMEOUT
