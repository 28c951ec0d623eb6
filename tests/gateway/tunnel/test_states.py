"""A tunnel's states: conversations as events in, actions out; then a walk through all that can happen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import pytest
from scripts.draw_states import PAGE, put

from hatchway.gateway.tunnel.events import Action, Event
from hatchway.gateway.tunnel.state_tables import (
    ACCEPTS_FRAMES,
    CLIENT,
    FORWARDS_INPUT,
    FORWARDS_OUTPUT,
    MAY_SEND_FRAMES,
    TARGET,
    TUNNEL,
    ClientState,
    TargetState,
    TunnelState,
)
from hatchway.gateway.tunnel.states import TunnelStates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from enum import StrEnum

a, e = Action, Event

CONNECTED: Final = (e.TARGET_CONNECTED, [a.READ_TARGET, a.RESUME_CLIENT, a.DELIVER_HELD])


def converse(*conversation: tuple[Event, list[Action]], half_close: bool = False) -> TunnelStates:
    states = TunnelStates(half_close=half_close)
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
    assert states.client in FORWARDS_INPUT
    assert states.tunnel is TunnelState.CARRYING
    for event, actions in (
        (e.CLIENT_CLOSE_FRAME, [a.DELIVER_FRAMES, a.HANG_UP, a.CLOSE_TARGET, a.REPORT_ENDED]),
        (e.CLIENT_LOST, []),
        (e.TARGET_LOST, [a.REPORT_GONE]),
    ):
        assert list(states.on(event)) == actions


def test_a_client_that_ends_its_direction_hears_its_target_to_the_end() -> None:
    states = converse(CONNECTED, (e.CLIENT_END, [a.DELIVER_FRAMES, a.END_TARGET_INPUT]), half_close=True)
    assert states.client in FORWARDS_OUTPUT
    assert states.tunnel is TunnelState.CARRYING
    for event, actions in (
        (e.TARGET_FIN, [a.SEND_CLOSE, a.RECORD_CLOSURE, a.CLOSE_TARGET, a.REPORT_ENDED]),
        (e.CLIENT_CLOSE_FRAME, [a.HANG_UP]),
        (e.CLIENT_LOST, []),
        (e.TARGET_LOST, [a.REPORT_GONE]),
    ):
        assert list(states.on(event)) == actions


def test_a_client_is_told_that_its_target_has_ended_and_sends_on_until_it_ends_too() -> None:
    states = converse(CONNECTED, (e.TARGET_FIN, [a.SEND_END]), half_close=True)
    assert states.client in FORWARDS_INPUT
    for event, actions in (
        (e.CLIENT_END, [a.DELIVER_FRAMES, a.SEND_CLOSE, a.RECORD_CLOSURE, a.CLOSE_TARGET, a.REPORT_ENDED]),
        (e.CLIENT_CLOSE_FRAME, [a.HANG_UP]),
    ):
        assert list(states.on(event)) == actions


def test_a_client_that_ends_before_its_target_is_connected_is_answered_all_the_same() -> None:
    converse(
        (e.CLIENT_END, [a.DELIVER_FRAMES]),
        (e.TARGET_CONNECTED, [a.READ_TARGET, a.RESUME_CLIENT, a.DELIVER_HELD, a.END_TARGET_INPUT]),
        (
            e.CUT,
            [
                a.SEND_CLOSE,
                a.RESUME_CLIENT,
                a.RECORD_CLOSURE,
                a.AWAIT_TARGET_FIN,
                a.START_CUT_TIMER,
                a.REPORT_ENDED,
            ],
        ),
        half_close=True,
    )


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
    assert states.client in ACCEPTS_FRAMES
    assert states.client not in FORWARDS_INPUT
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


# All that can happen. What two connections and their timers can do, and what must hold of what is done to
# them, is said here without the tables.


@dataclass(frozen=True)
class World:
    """Two connections and three timers as they are, and what has been done so far."""

    half_close: bool = False
    client_ended: bool = False
    """Whether the client has said that it sends nothing more."""

    client: str = "connected"
    """Or `disconnecting`, for a frame of its own; `deaf`, when it was hung up on; `aborted`; `lost`."""

    target: str = "none"
    """Or `connected`, `ended` by a FIN of its own, `aborted`, `lost`; `never`, when there will be none."""

    awaiting_close: bool = False
    awaiting_fin: bool = False
    cut_timer: bool = False
    held: bool = True
    """Whether something of the target's may keep the client from being read."""

    cut: bool = False
    close_sent: bool = False
    fin_sent: bool = False
    closing: bool = False
    closure_recorded: bool = False
    ended: bool = False
    gone: bool = False

    def possible(self) -> Iterator[Event]:
        """What can happen next."""
        yield from (e.CUT, e.DROP)
        if not self.closure_recorded:
            # Those that have ended nobody looks after.
            yield e.CLIENT_DEAD
        if self.client == "connected":
            yield e.CLIENT_CLOSE_FRAME
            if self.half_close and not self.client_ended:
                yield e.CLIENT_END
        if self.client in ("connected", "disconnecting"):
            yield e.CLIENT_FAULT
        if self.awaiting_close:
            yield e.CLOSE_UNANSWERED
        if self.client != "lost":
            yield e.CLIENT_LOST
        if self.target == "none":
            yield from (e.TARGET_CONNECTED, e.NO_TARGET)
        if self.target == "connected":
            yield e.TARGET_FIN
        if self.awaiting_fin:
            yield e.TARGET_OVERDUE
        if self.target in ("connected", "ended", "aborted"):
            yield e.TARGET_LOST
        if self.cut_timer:
            yield e.CUT_TIMEOUT

    def happened(self, event: Event) -> World:
        """The world once that has happened, and nothing has been done about it."""
        if event is e.CLIENT_LOST:
            return replace(self, client="lost", awaiting_close=False)
        if event is e.TARGET_LOST:
            return replace(self, target="lost", awaiting_fin=False)
        changes: Mapping[Event, Mapping[str, object]] = {
            e.CUT: {"cut": True},
            e.CLIENT_END: {"client_ended": True},
            e.CLOSE_UNANSWERED: {"awaiting_close": False},
            e.TARGET_CONNECTED: {"target": "connected"},
            e.NO_TARGET: {"target": "never"},
            e.TARGET_FIN: {"target": "ended"},
            e.TARGET_OVERDUE: {"awaiting_fin": False},
            e.CUT_TIMEOUT: {"cut_timer": False},
        }
        return replace(self, **changes.get(event, {}))  # type: ignore[arg-type]

    def done(self, action: Action, event: Event) -> World:
        """The world once that has been done too. It fails for what must not be done."""
        match action:
            case a.SEND_END:
                assert self.half_close
                assert self.target == "ended"
                assert not self.close_sent
            case a.SEND_CLOSE:
                assert not self.close_sent
                return replace(self, close_sent=True, awaiting_close=self.client != "aborted")
            case a.CLOSE_AND_HANG_UP | a.HANG_UP:
                assert self.close_sent == (action is a.HANG_UP)
                assert self.client == "connected"
                by_itself = event in (e.CLIENT_CLOSE_FRAME, e.CLIENT_FAULT)
                client = "disconnecting" if by_itself else "deaf"
                return replace(self, close_sent=True, client=client, held=False)
            case a.ABORT_CLIENT:
                return (
                    self if self.client == "lost" else replace(self, client="aborted", awaiting_close=False)
                )
            case a.DELIVER_FRAMES:
                assert self.client == "connected"
                assert not self.cut
                assert not self.fin_sent
            case a.DELIVER_HELD:
                assert self.target == "connected"
                assert not self.cut
                assert not self.fin_sent
                return replace(self, held=True)
            case a.READ_TARGET:
                assert self.target == "connected"
            case a.SEND_FIN:
                assert self.target in ("connected", "aborted")
                assert not self.fin_sent
                return replace(self, fin_sent=True, awaiting_fin=self.target != "aborted")
            case a.END_TARGET_INPUT:
                assert self.client_ended
                assert self.target in ("connected", "aborted")
                assert not self.fin_sent
                return replace(self, fin_sent=True)
            case a.AWAIT_TARGET_FIN:
                assert self.fin_sent
                assert not self.awaiting_fin
                return replace(self, awaiting_fin=self.target != "aborted")
            case a.CLOSE_TARGET:
                assert self.target in ("ended", "aborted")
                assert not self.closing
                return replace(self, closing=True)
            case a.ABORT_TARGET:
                is_there = self.target in ("connected", "ended", "aborted")
                return replace(self, target="aborted", awaiting_fin=False) if is_there else self
            case a.RECORD_CLOSURE | a.RECORD_CLIENT_CLOSED:
                assert not self.closure_recorded
                return replace(self, closure_recorded=True)
            case a.START_CUT_TIMER | a.START_LINGER_TIMER:
                assert not self.cut_timer
                return replace(self, cut_timer=True)
            case a.CANCEL_TIMER:
                return replace(self, cut_timer=False)
            case a.REPORT_ENDED:
                assert not self.ended
                return replace(self, ended=True)
            case a.REPORT_GONE:
                assert self.ended
                assert not self.gone
                return replace(self, gone=True)
            case a.ABORT_CONNECTING | a.DISCARD_HELD:
                assert self.target in ("none", "never")
            case a.RESUME_CLIENT:
                return replace(self, held=False)
            case _:
                raise AssertionError(f"{event} is in no table")
        return self


Place = tuple[ClientState, TargetState, TunnelState]


def place(states: TunnelStates) -> Place:
    return states.client, states.target, states.tunnel


def states_at(place: Place) -> TunnelStates:
    states = TunnelStates()
    states.client, states.target, states.tunnel = place
    return states


@dataclass(frozen=True)
class Move:
    """One event on the walk: where from, where to."""

    before: Place
    event: Event
    actions: tuple[Action, ...]
    after: Place
    world: World
    """Once everything has been done about it."""


def move(before: Place, world: World, event: Event) -> Move:
    states = states_at(before)
    world = world.happened(event)
    actions = states.on(event)
    for action in actions:
        world = world.done(action, event)
    if states.target in (TargetState.OPEN, TargetState.FIN_RECEIVED) and states.client in FORWARDS_INPUT:
        # What comes from the client from now on may fill the target's buffer.
        world = replace(world, held=True)
    return Move(before, event, actions, place(states), world)


@pytest.fixture(scope="module")
def walk() -> list[Move]:
    """Every event in every situation that there can be."""
    begun = [
        (place(TunnelStates(half_close=half_close)), World(half_close=half_close))
        for half_close in (False, True)
    ]
    seen, due, moves = set(begun), deque(begun), list[Move]()
    while due:
        before, world = due.popleft()
        for event in world.possible():
            moves.append(moved := move(before, world, event))
            situation = (moved.after, moved.world)
            if situation not in seen:
                seen.add(situation)
                due.append(situation)
    return moves


def test_there_is_at_most_one_close_frame_and_one_closure_and_nothing_is_sent_after(walk: list[Move]) -> None:
    # Twice would have failed on the walk.
    for made in walk:
        client, _, _ = made.after
        if client in FORWARDS_OUTPUT:
            assert not made.world.close_sent
        assert made.world.closure_recorded == (client not in MAY_SEND_FRAMES)


def test_no_state_is_come_back_to(walk: list[Move]) -> None:
    orders: list[list[StrEnum]] = [[*ClientState], [*TargetState], [*TunnelState]]
    for made in walk:
        for order, before, after in zip(orders, made.before, made.after, strict=True):
            assert order.index(before) <= order.index(after)


def test_what_only_aborts_or_hangs_up_leads_nowhere_until_the_connection_is_lost(walk: list[Move]) -> None:
    for made in walk:
        gone = {"aborted", "lost", "deaf", "disconnecting"}
        if made.event in (e.CLIENT_DEAD, e.CLOSE_UNANSWERED):
            assert made.world.client in gone
        elif made.event is e.TARGET_OVERDUE:
            assert made.world.target == "aborted"
        elif made.event is e.DROP:
            assert made.world.client in ("aborted", "lost")
            assert made.world.target in ("aborted", "lost", "none", "never")
        else:
            continue
        assert made.after == made.before


def test_nothing_is_passed_on_once_a_tunnel_is_cut_or_the_target_has_its_fin(walk: list[Move]) -> None:
    for made in walk:
        client, target, _ = made.after
        if client in FORWARDS_INPUT:
            assert not made.world.cut
            assert not made.world.fin_sent
        if client is ClientState.CUT or target is TargetState.CANCELLED:
            assert made.world.cut


def test_what_came_before_the_end_is_passed_on(walk: list[Move]) -> None:
    for made in walk:
        client, target, _ = made.before
        ends = (e.CLIENT_CLOSE_FRAME, e.CLIENT_FAULT, *([] if target is TargetState.GONE else [e.CLIENT_END]))
        if client in FORWARDS_INPUT and made.event in ends:
            assert made.actions[0] is a.DELIVER_FRAMES
        if target is not TargetState.CANCELLED and made.event is e.TARGET_CONNECTED:
            assert a.DELIVER_HELD in made.actions
        if made.event is e.NO_TARGET:
            assert a.DISCARD_HELD in made.actions


def test_a_client_that_has_left_is_not_listened_to_and_its_target_hears_of_it(walk: list[Move]) -> None:
    for made in walk:
        client, target, _ = made.after
        if made.world.client in ("disconnecting", "lost"):
            assert client not in ACCEPTS_FRAMES
        if client not in FORWARDS_INPUT:
            assert target not in (TargetState.CONNECTING, TargetState.OPEN, TargetState.FIN_RECEIVED)
        if client not in FORWARDS_INPUT | FORWARDS_OUTPUT:
            assert target not in (TargetState.CONNECTING_TO_ANSWER, TargetState.ANSWERING)
        if client not in FORWARDS_INPUT and target is not TargetState.CONNECTING_TO_ANSWER:
            assert made.world.target != "connected" or made.world.fin_sent or target is TargetState.CANCELLED
            assert made.world.target != "ended" or made.world.closing
        if target in (TargetState.FIN_SENT, TargetState.ANSWERING):
            assert made.world.fin_sent
            assert made.world.target in ("connected", "aborted")


def test_nothing_keeps_a_client_from_being_read_for_a_target_that_takes_no_more(walk: list[Move]) -> None:
    for made in walk:
        if made.world.client in ("connected", "disconnecting") and (
            made.world.cut or made.world.target in ("lost", "never")
        ):
            assert not made.world.held


def test_a_connection_that_is_being_made_is_given_up_when_the_tunnel_is_cut(walk: list[Move]) -> None:
    for made in walk:
        target = made.before[1]
        if made.event is e.CUT and target in (
            TargetState.CONNECTING,
            TargetState.CONNECTING_TO_ANSWER,
            TargetState.CONNECTING_TO_DELIVER,
        ):
            assert a.ABORT_CONNECTING in made.actions


def test_an_end_is_reported_as_soon_as_one_side_is_over_and_the_tunnel_gone_when_both_are(
    walk: list[Move],
) -> None:
    for made in walk:
        client, target, _ = made.after
        world = made.world
        assert world.ended == (client not in FORWARDS_INPUT | FORWARDS_OUTPUT or target is TargetState.GONE)
        assert world.gone == (world.client == "lost" and world.target in ("lost", "never"))
        assert not (world.gone and world.cut_timer)


def test_a_tunnel_that_is_cut_is_gone_by_its_timers_alone(walk: list[Move]) -> None:
    for situation in {(made.after, made.world) for made in walk if made.world.cut}:
        at, world = situation
        for _ in range(8):
            # Neither peer does anything. Who is aborted is lost, and nothing more is connected.
            forced = [e.CUT_TIMEOUT] if world.cut_timer else []
            forced += [e.CLIENT_LOST] if world.client == "aborted" else []
            forced += [e.TARGET_LOST] if world.target == "aborted" else []
            forced += [e.NO_TARGET] if world.target == "none" else []
            if not forced:
                break
            made = move(at, world, forced[-1])
            at, world = made.after, made.world
        assert world.gone


_S = TypeVar("_S", ClientState, TargetState, TunnelState)


def named(table: Mapping[_S, Mapping[Event, object]]) -> set[tuple[_S, Event]]:
    return {(state, event) for state, row in table.items() for event in row}


def test_the_tables_have_every_pair_of_state_and_event_that_can_come_and_no_other(walk: list[Move]) -> None:
    client = {(made.before[0], made.event) for made in walk}
    target = {(made.before[1], made.event) for made in walk}
    tunnel = {(made.before[2], made.event) for made in walk}
    for made in walk:
        before, after = made.before[2], made.after[2]
        if before is TunnelState.CARRYING and after is TunnelState.ENDED:
            tunnel.add((before, e.ENDED))
        if before not in (TunnelState.CARRYING, TunnelState.GONE) and after is TunnelState.GONE:
            tunnel.add((before, e.BOTH_LOST))
    assert named(CLIENT) == {pair for pair in client if pair[1] in {event for _, event in named(CLIENT)}}
    assert named(TARGET) == {pair for pair in target if pair[1] in {event for _, event in named(TARGET)}}
    assert named(TUNNEL) == {pair for pair in tunnel if pair[1] in {event for _, event in named(TUNNEL)}}
    for event in Event:
        assert any(event in row for table in (CLIENT, TARGET, TUNNEL) for row in table.values()), event


def test_what_cannot_happen_drops_both_connections_once_and_for_all(walk: list[Move]) -> None:
    outside = set(Event) - {e.ENDED, e.BOTH_LOST}
    possible: dict[Place, set[Event]] = {}
    for made in walk:
        possible.setdefault(made.before, set()).add(made.event)
    unexpected = 0
    for at, events in possible.items():
        for event in outside - events:
            states = states_at(at)
            actions = states.on(event)
            if states.tunnel is not TunnelState.FAILED:
                # The event concerns another machine than the one that it cannot come to.
                continue
            unexpected += 1
            assert actions[0] is a.LOG_FAILURE
            assert {a.ABORT_CLIENT, a.ABORT_TARGET, a.REPORT_ENDED, a.REPORT_GONE} <= set(actions)
            assert states.failure == f"{event} in {', '.join(at)}"
            assert states.client not in ACCEPTS_FRAMES
            for later in Event:
                assert states.on(later) == (a.ABORT_CLIENT, a.ABORT_CONNECTING, a.ABORT_TARGET)
            assert states.fail("once more") == (a.ABORT_CLIENT, a.ABORT_CONNECTING, a.ABORT_TARGET)
            assert states.failure == f"{event} in {', '.join(at)}"
    assert unexpected


def test_the_page_of_the_states_shows_the_tables_as_they_are() -> None:
    page = PAGE.read_text()
    assert put(page) == page, "scripts/draw_states.py draws it"
