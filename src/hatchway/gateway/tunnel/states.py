"""The states of a tunnel, as tables: which event leads where, and what is to be done about it.

    states = TunnelStates()
    states.on(Event.TARGET_CONNECTED)     # (READ_TARGET, RESUME_CLIENT, DELIVER_HELD)
    states.on(Event.TARGET_FIN)           # (SEND_CLOSE, RECORD_CLOSURE)

Pure: `relay` turns what happens to its two connections into events, and carries out the actions, in order.
docs/tunnel-states.md has the tables as diagrams, drawn by scripts/draw_states.py.

There are three machines, and each sees every event:

- **client**, the WebSocket with the client. It begins as `OPEN`, or as `DUPLEX` where the client takes part
  in half-close. `PASSED_ON` and `SENT_TO` say in which states what arrives is passed on.
- **target**, the TCP connection with the target.
- **tunnel**, what is told of the two as a whole: `ended` when nothing more is passed on, `gone` when both
  connections are; and the timer of one that is cut.

The client and the target move on events from outside. The tunnel moves on those that concern it, and on two
events that follow from where the other two have come to: `ENDED` and `BOTH_LOST`.

An event that a machine's table names nowhere does not concern it. One that it names, but not for the state
that the machine is in, cannot happen: tests/gateway/tunnel/test_states.py walks through everything that can
happen to two connections, and meets exactly the pairs that are in the tables. Should another come all the
same, or should an action raise, nothing is known of the tunnel any more: both connections are dropped,
`FAILED`.

Back pressure is not in the tables. Whether a side is read depends on how full the other side's buffer is,
not on what has happened before, and nothing of what is here depends on it.
"""

from __future__ import annotations

from enum import StrEnum, auto
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class ClientState(StrEnum):
    """Of the client's side."""

    OPEN = auto()
    """Frames pass both ways, or are held until the target is connected."""

    DUPLEX = auto()
    """The same, with a client that can end its own direction, and be told that the target has ended its."""

    INPUT_ENDED = auto()
    """The client sends nothing more, and still gets what the target sends."""

    OUTPUT_ENDED = auto()
    """The client has been told that the target sends nothing more. What it sends is still passed on."""

    CLOSING = auto()
    """There is no target to hear from, and a close frame says so. Until it is answered, what the client sends
    is still passed on: a target that has sent a FIN may still read."""

    DONE = auto()
    """Both directions have ended, and a close frame says so."""

    CUT = auto()
    """A close frame has been sent, and nothing is passed on any more."""

    DISCONNECTING = auto()
    """Nothing from the client is used any more: TLS and TCP are being ended."""

    LOST = auto()
    """The connection is gone."""


class TargetState(StrEnum):
    """Of the target's side."""

    CONNECTING = auto()
    """It is yet to be connected. What the client sends is held."""

    CONNECTING_TO_ANSWER = auto()
    """The same, and the client sends nothing more: the target is to get what is held and a FIN, and be heard.
    """

    CONNECTING_TO_DELIVER = auto()
    """The same, and the client has left: the target is to get what is held, and a FIN."""

    CANCELLED = auto()
    """The tunnel was cut before the target was connected: it gets nothing."""

    OPEN = auto()
    FIN_RECEIVED = auto()
    """It sends nothing more, and gets what the client sends."""

    ANSWERING = auto()
    """It gets nothing more, and what it sends is passed on."""

    FIN_SENT = auto()
    """It gets nothing more, and has time to end its side."""

    CLOSING = auto()
    """It is closed when everything that was passed on has been sent."""

    GONE = auto()
    """The connection is gone, or there will be none."""


class TunnelState(StrEnum):
    """Of the tunnel as a whole."""

    CARRYING = auto()
    ENDED = auto()
    """Nothing more is passed on. What has been is on its way."""

    CUT = auto()
    """Ended from above: the client has a moment to take the close frame and answer it."""

    ABANDONED = auto()
    """Cut, and the client has had its time. The target has a moment for what was passed on before."""

    GONE = auto()
    """Both connections are."""

    FAILED = auto()
    """What cannot happen has happened. Both connections have been dropped."""


class Event(StrEnum):
    """What happens to a tunnel."""

    CLIENT_CLOSE_FRAME = auto()
    CLIENT_END = auto()
    """The client sends nothing more, and wants to hear what the target has to say."""

    CLIENT_FAULT = auto()
    """The client broke the protocol, or wasted too much."""

    CLOSE_UNANSWERED = auto()
    """The client has not answered the close frame in time."""

    CLIENT_DEAD = auto()
    """The client's machine answers nothing."""

    CLIENT_LOST = auto()
    TARGET_CONNECTED = auto()
    NO_TARGET = auto()
    """There will be no target: it cannot be reached, must not be, or need not be."""

    TARGET_FIN = auto()
    TARGET_OVERDUE = auto()
    """The target has not ended its side in time."""

    TARGET_LOST = auto()
    CUT = auto()
    """The tunnel is ended from above: revoked, terminated, idle, out of time, or the gateway stops."""

    CUT_TIMEOUT = auto()
    DROP = auto()
    """Both connections are to go at once."""

    ENDED = auto()
    """Follows from the others: one side takes or gives nothing more."""

    BOTH_LOST = auto()
    """Follows from the others: both connections are gone."""


class Action(StrEnum):
    """What is to be done about an event."""

    DELIVER_FRAMES = auto()
    """Pass on the frames that were read together with this event, before it."""

    SEND_CLOSE = auto()
    """Send the client the close frame that the event calls for, and give it time to answer."""

    CLOSE_AND_HANG_UP = auto()
    """Send the client that close frame, and end TLS and TCP after it."""

    SEND_END = auto()
    """Tell the client that the target sends nothing more."""

    HANG_UP = auto()
    """End TLS and TCP with the client, after everything that was sent."""

    RESUME_CLIENT = auto()
    """Let nothing of the target's keep the client from being read."""

    ABORT_CLIENT = auto()
    ABORT_CONNECTING = auto()
    READ_TARGET = auto()
    DELIVER_HELD = auto()
    DISCARD_HELD = auto()
    SEND_FIN = auto()
    """Send the target a FIN after everything that was passed on, and give it time to end its side."""

    END_TARGET_INPUT = auto()
    """Send the target a FIN after everything that was passed on, and go on listening to it."""

    AWAIT_TARGET_FIN = auto()
    """Give the target, which has its FIN, time to end its side."""

    CLOSE_TARGET = auto()
    """Close the connection to the target after everything that was passed on."""

    ABORT_TARGET = auto()
    RECORD_CLOSURE = auto()
    """Note why the tunnel ends, as the event says, and how long it has lasted."""

    RECORD_CLIENT_CLOSED = auto()
    """The same: the client ended it, whatever code it gave."""

    START_CUT_TIMER = auto()
    START_LINGER_TIMER = auto()
    CANCEL_TIMER = auto()
    REPORT_ENDED = auto()
    REPORT_GONE = auto()
    LOG_FAILURE = auto()


_S = TypeVar("_S", ClientState, TargetState, TunnelState)

Step: TypeAlias = "tuple[_S, tuple[Action, ...]]"
"""The next state, and what is to be done."""

Table: TypeAlias = "Mapping[_S, Mapping[Event, Step[_S]]]"


def _to(state: _S, *actions: Action) -> Step[_S]:
    return state, actions


def _stay(state: _S, *events: Event) -> dict[Event, Step[_S]]:
    """These events can come, and change nothing."""
    return dict.fromkeys(events, _to(state))


_CLIENT_LEAVES: Final = (Event.CLIENT_CLOSE_FRAME, Event.CLIENT_FAULT, Event.CLIENT_LOST)
"""What they tell the target's side: nothing more comes from the client."""


def _client_table() -> Table[ClientState]:
    s, e, a = ClientState, Event, Action
    return {
        # Every way out of OPEN records a closure, and none leads back: so it is the first that counts, and
        # there is at most one close frame.
        s.OPEN: {
            e.CLIENT_CLOSE_FRAME: _to(
                s.DISCONNECTING, a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLIENT_CLOSED
            ),
            e.CLIENT_FAULT: _to(s.DISCONNECTING, a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLOSURE),
            e.CLIENT_DEAD: _to(s.OPEN, a.ABORT_CLIENT),
            e.CLIENT_LOST: _to(s.LOST, a.RECORD_CLOSURE),
            e.NO_TARGET: _to(s.CLOSING, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.TARGET_FIN: _to(s.CLOSING, a.SEND_CLOSE, a.RECORD_CLOSURE),
            e.TARGET_LOST: _to(s.CLOSING, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.CUT: _to(s.CUT, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.DROP: _to(s.OPEN, a.ABORT_CLIENT),
        },
        s.DUPLEX: {
            e.CLIENT_CLOSE_FRAME: _to(
                s.DISCONNECTING, a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLIENT_CLOSED
            ),
            e.CLIENT_END: _to(s.INPUT_ENDED, a.DELIVER_FRAMES),
            e.CLIENT_FAULT: _to(s.DISCONNECTING, a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLOSURE),
            e.CLIENT_DEAD: _to(s.DUPLEX, a.ABORT_CLIENT),
            e.CLIENT_LOST: _to(s.LOST, a.RECORD_CLOSURE),
            e.NO_TARGET: _to(s.CLOSING, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.TARGET_FIN: _to(s.OUTPUT_ENDED, a.SEND_END),
            e.TARGET_LOST: _to(s.CLOSING, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.CUT: _to(s.CUT, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.DROP: _to(s.DUPLEX, a.ABORT_CLIENT),
        },
        s.INPUT_ENDED: {
            e.CLIENT_CLOSE_FRAME: _to(s.DISCONNECTING, a.CLOSE_AND_HANG_UP, a.RECORD_CLIENT_CLOSED),
            e.CLIENT_FAULT: _to(s.DISCONNECTING, a.CLOSE_AND_HANG_UP, a.RECORD_CLOSURE),
            e.CLIENT_DEAD: _to(s.INPUT_ENDED, a.ABORT_CLIENT),
            e.CLIENT_LOST: _to(s.LOST, a.RECORD_CLOSURE),
            e.NO_TARGET: _to(s.DONE, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.TARGET_FIN: _to(s.DONE, a.SEND_CLOSE, a.RECORD_CLOSURE),
            e.TARGET_LOST: _to(s.DONE, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.CUT: _to(s.CUT, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.DROP: _to(s.INPUT_ENDED, a.ABORT_CLIENT),
        },
        s.OUTPUT_ENDED: {
            e.CLIENT_CLOSE_FRAME: _to(
                s.DISCONNECTING, a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLIENT_CLOSED
            ),
            e.CLIENT_END: _to(s.DONE, a.DELIVER_FRAMES, a.SEND_CLOSE, a.RECORD_CLOSURE),
            e.CLIENT_FAULT: _to(s.DISCONNECTING, a.DELIVER_FRAMES, a.CLOSE_AND_HANG_UP, a.RECORD_CLOSURE),
            e.CLIENT_DEAD: _to(s.OUTPUT_ENDED, a.ABORT_CLIENT),
            e.CLIENT_LOST: _to(s.LOST, a.RECORD_CLOSURE),
            e.TARGET_LOST: _to(s.CLOSING, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.CUT: _to(s.CUT, a.SEND_CLOSE, a.RESUME_CLIENT, a.RECORD_CLOSURE),
            e.DROP: _to(s.OUTPUT_ENDED, a.ABORT_CLIENT),
        },
        s.CLOSING: {
            e.CLIENT_CLOSE_FRAME: _to(s.DISCONNECTING, a.DELIVER_FRAMES, a.HANG_UP),
            e.CLIENT_FAULT: _to(s.DISCONNECTING, a.DELIVER_FRAMES, a.HANG_UP),
            # The target hears of it when the connection is gone.
            e.CLOSE_UNANSWERED: _to(s.CLOSING, a.HANG_UP),
            e.CLIENT_LOST: _to(s.LOST),
            e.TARGET_LOST: _to(s.CLOSING, a.RESUME_CLIENT),
            e.CUT: _to(s.CUT, a.RESUME_CLIENT),
            e.DROP: _to(s.CLOSING, a.ABORT_CLIENT),
            # There is no target any more: nobody to tell.
            **_stay(s.CLOSING, e.CLIENT_END),
        },
        s.DONE: {
            e.CLIENT_CLOSE_FRAME: _to(s.DISCONNECTING, a.HANG_UP),
            e.CLIENT_FAULT: _to(s.DISCONNECTING, a.HANG_UP),
            e.CLOSE_UNANSWERED: _to(s.DONE, a.HANG_UP),
            e.CLIENT_LOST: _to(s.LOST),
            e.TARGET_LOST: _to(s.DONE, a.RESUME_CLIENT),
            e.CUT: _to(s.CUT, a.RESUME_CLIENT),
            e.DROP: _to(s.DONE, a.ABORT_CLIENT),
        },
        s.CUT: {
            e.CLIENT_CLOSE_FRAME: _to(s.DISCONNECTING, a.HANG_UP),
            e.CLIENT_FAULT: _to(s.DISCONNECTING, a.HANG_UP),
            e.CLOSE_UNANSWERED: _to(s.CUT, a.HANG_UP),
            e.CLIENT_LOST: _to(s.LOST),
            e.DROP: _to(s.CUT, a.ABORT_CLIENT),
            **_stay(s.CUT, e.CLIENT_END, e.NO_TARGET, e.TARGET_FIN, e.TARGET_LOST, e.CUT),
        },
        s.DISCONNECTING: {
            e.CLIENT_LOST: _to(s.LOST),
            # Delivering what was held may have filled the target's buffer, and so held the client.
            e.TARGET_LOST: _to(s.DISCONNECTING, a.RESUME_CLIENT),
            e.CUT: _to(s.DISCONNECTING, a.RESUME_CLIENT),
            e.DROP: _to(s.DISCONNECTING, a.ABORT_CLIENT),
            # What was read together with a close frame, after it, can still be found wrong.
            **_stay(s.DISCONNECTING, e.CLIENT_FAULT, e.CLOSE_UNANSWERED, e.NO_TARGET, e.TARGET_FIN),
        },
        s.LOST: _stay(s.LOST, e.NO_TARGET, e.TARGET_FIN, e.TARGET_LOST, e.CUT, e.DROP),
    }


def _target_table() -> Table[TargetState]:
    s, e, a = TargetState, Event, Action
    return {
        s.CONNECTING: {
            e.TARGET_CONNECTED: _to(s.OPEN, a.READ_TARGET, a.RESUME_CLIENT, a.DELIVER_HELD),
            e.NO_TARGET: _to(s.GONE, a.DISCARD_HELD),
            e.CUT: _to(s.CANCELLED, a.ABORT_CONNECTING),
            e.CLIENT_END: _to(s.CONNECTING_TO_ANSWER),
            **dict.fromkeys(_CLIENT_LEAVES, _to(s.CONNECTING_TO_DELIVER)),
            **_stay(s.CONNECTING, e.DROP),
        },
        s.CONNECTING_TO_ANSWER: {
            e.TARGET_CONNECTED: _to(
                s.ANSWERING, a.READ_TARGET, a.RESUME_CLIENT, a.DELIVER_HELD, a.END_TARGET_INPUT
            ),
            e.NO_TARGET: _to(s.GONE, a.DISCARD_HELD),
            e.CUT: _to(s.CANCELLED, a.ABORT_CONNECTING),
            **dict.fromkeys(_CLIENT_LEAVES, _to(s.CONNECTING_TO_DELIVER)),
            **_stay(s.CONNECTING_TO_ANSWER, e.DROP),
        },
        s.CONNECTING_TO_DELIVER: {
            e.TARGET_CONNECTED: _to(s.FIN_SENT, a.READ_TARGET, a.DELIVER_HELD, a.SEND_FIN),
            e.NO_TARGET: _to(s.GONE, a.DISCARD_HELD),
            e.CUT: _to(s.CANCELLED, a.ABORT_CONNECTING),
            **_stay(s.CONNECTING_TO_DELIVER, e.CLIENT_FAULT, e.CLIENT_LOST, e.DROP),
        },
        s.CANCELLED: {
            # It had been connected a moment before.
            e.TARGET_CONNECTED: _to(s.CLOSING, a.READ_TARGET, a.ABORT_TARGET),
            e.NO_TARGET: _to(s.GONE, a.DISCARD_HELD),
            **_stay(s.CANCELLED, *_CLIENT_LEAVES, e.CLIENT_END, e.CUT, e.DROP),
        },
        s.OPEN: {
            e.TARGET_FIN: _to(s.FIN_RECEIVED),
            e.TARGET_LOST: _to(s.GONE),
            e.CUT: _to(s.FIN_SENT, a.SEND_FIN),
            e.DROP: _to(s.OPEN, a.ABORT_TARGET),
            e.CLIENT_END: _to(s.ANSWERING, a.END_TARGET_INPUT),
            **dict.fromkeys(_CLIENT_LEAVES, _to(s.FIN_SENT, a.SEND_FIN)),
        },
        s.FIN_RECEIVED: {
            e.TARGET_LOST: _to(s.GONE),
            e.CUT: _to(s.CLOSING, a.CLOSE_TARGET),
            e.DROP: _to(s.FIN_RECEIVED, a.ABORT_TARGET),
            e.CLIENT_END: _to(s.CLOSING, a.CLOSE_TARGET),
            **dict.fromkeys(_CLIENT_LEAVES, _to(s.CLOSING, a.CLOSE_TARGET)),
        },
        s.ANSWERING: {
            e.TARGET_FIN: _to(s.CLOSING, a.CLOSE_TARGET),
            e.TARGET_LOST: _to(s.GONE),
            e.CUT: _to(s.FIN_SENT, a.AWAIT_TARGET_FIN),
            e.DROP: _to(s.ANSWERING, a.ABORT_TARGET),
            **dict.fromkeys(_CLIENT_LEAVES, _to(s.FIN_SENT, a.AWAIT_TARGET_FIN)),
        },
        s.FIN_SENT: {
            e.TARGET_FIN: _to(s.CLOSING, a.CLOSE_TARGET),
            e.TARGET_OVERDUE: _to(s.FIN_SENT, a.ABORT_TARGET),
            e.TARGET_LOST: _to(s.GONE),
            e.DROP: _to(s.FIN_SENT, a.ABORT_TARGET),
            **_stay(s.FIN_SENT, *_CLIENT_LEAVES, e.CLIENT_END, e.CUT),
        },
        s.CLOSING: {
            e.TARGET_OVERDUE: _to(s.CLOSING, a.ABORT_TARGET),
            e.TARGET_LOST: _to(s.GONE),
            e.DROP: _to(s.CLOSING, a.ABORT_TARGET),
            **_stay(s.CLOSING, *_CLIENT_LEAVES, e.CLIENT_END, e.CUT),
        },
        s.GONE: _stay(s.GONE, *_CLIENT_LEAVES, e.CLIENT_END, e.CUT, e.DROP),
    }


def _tunnel_table() -> Table[TunnelState]:
    s, e, a = TunnelState, Event, Action
    return {
        s.CARRYING: {
            e.ENDED: _to(s.ENDED, a.REPORT_ENDED),
            e.CUT: _to(s.CUT, a.START_CUT_TIMER, a.REPORT_ENDED),
        },
        s.ENDED: {
            e.CUT: _to(s.CUT, a.START_CUT_TIMER),
            e.BOTH_LOST: _to(s.GONE, a.REPORT_GONE),
        },
        s.CUT: {
            e.CUT_TIMEOUT: _to(s.ABANDONED, a.ABORT_CLIENT, a.START_LINGER_TIMER),
            e.BOTH_LOST: _to(s.GONE, a.CANCEL_TIMER, a.REPORT_GONE),
            **_stay(s.CUT, e.CUT),
        },
        s.ABANDONED: {
            e.CUT_TIMEOUT: _to(s.ABANDONED, a.ABORT_TARGET),
            e.BOTH_LOST: _to(s.GONE, a.CANCEL_TIMER, a.REPORT_GONE),
            **_stay(s.ABANDONED, e.CUT),
        },
        s.GONE: _stay(s.GONE, e.CUT),
    }


LISTENED_TO: Final = frozenset(ClientState) - {ClientState.DISCONNECTING, ClientState.LOST}
"""States in which frames are taken from the client."""

PASSED_ON: Final = frozenset(
    {ClientState.OPEN, ClientState.DUPLEX, ClientState.OUTPUT_ENDED, ClientState.CLOSING}
)
"""States in which what the client sends is passed on."""

SENT_TO: Final = frozenset({ClientState.OPEN, ClientState.DUPLEX, ClientState.INPUT_ENDED})
"""States in which what the target sends is passed on."""

ANSWERED: Final = SENT_TO | {ClientState.OUTPUT_ENDED}
"""States in which frames may be sent to the client: no close frame has been."""

WAITED_FOR: Final = frozenset({ClientState.CLOSING, ClientState.DONE})
"""States in which a client may take its time to take what it was sent, before it has to answer the close
frame."""

_CARRYING: Final = PASSED_ON | SENT_TO

CLIENT: Final = _client_table()
TARGET: Final = _target_table()
TUNNEL: Final = _tunnel_table()

_FAIL: Final = (
    Action.LOG_FAILURE,
    Action.RECORD_CLOSURE,
    Action.ABORT_CLIENT,
    Action.ABORT_CONNECTING,
    Action.ABORT_TARGET,
    Action.CANCEL_TIMER,
    Action.REPORT_ENDED,
    Action.REPORT_GONE,
)
_DROP_ALL: Final = (Action.ABORT_CLIENT, Action.ABORT_CONNECTING, Action.ABORT_TARGET)
"""In `FAILED`, whatever happens: a target that is connected only now goes too."""


def _with_every_event(table: Table[_S]) -> Table[_S]:
    """The same, in which events that do not concern the machine change nothing."""
    concerning = {event for row in table.values() for event in row}
    return {
        state: {event: _to(state) for event in Event if event not in concerning} | dict(row)
        for state, row in table.items()
    }


_client: Final = _with_every_event(CLIENT)
_target: Final = _with_every_event(TARGET)
_tunnel: Final = _with_every_event(TUNNEL)


@cache
def _step(
    client: ClientState, target: TargetState, tunnel: TunnelState, event: Event
) -> tuple[ClientState, TargetState, TunnelState, tuple[Action, ...]]:
    """The next states, and what is to be done.

    Raises:
        KeyError: the event cannot happen in these states.
    """
    client, of_client = _client[client][event]
    target, of_target = _target[target][event]
    tunnel, of_tunnel = _tunnel[tunnel][event]
    actions = of_client + of_target + of_tunnel
    if tunnel is TunnelState.CARRYING and (client not in _CARRYING or target is TargetState.GONE):
        tunnel, of_tunnel = _tunnel[tunnel][Event.ENDED]
        actions += of_tunnel
    if client is ClientState.LOST and target is TargetState.GONE and tunnel is not TunnelState.GONE:
        tunnel, of_tunnel = _tunnel[tunnel][Event.BOTH_LOST]
        actions += of_tunnel
    return client, target, tunnel, actions


class TunnelStates:
    """Where one tunnel is.

    Attributes:
        client, target, tunnel: the states of the three machines.
        failure: what has happened that cannot happen, or could not be done; None while all is well.
    """

    __slots__ = ("client", "failure", "target", "tunnel")

    def __init__(self, *, half_close: bool = False) -> None:
        """`half_close` is whether the client can end its own direction, and be told that the target has."""
        self.client = ClientState.DUPLEX if half_close else ClientState.OPEN
        self.target = TargetState.CONNECTING
        self.tunnel = TunnelState.CARRYING
        self.failure: str | None = None

    def on(self, event: Event) -> tuple[Action, ...]:
        """Move on an event from outside.

        Returns:
            What is to be done about it, in this order. An event that cannot happen is answered with dropping
            both connections.
        """
        if self.failure is not None:
            return _DROP_ALL
        try:
            self.client, self.target, self.tunnel, actions = _step(
                self.client, self.target, self.tunnel, event
            )
        except KeyError:
            return self.fail(str(event))
        return actions

    def fail(self, what: str) -> tuple[Action, ...]:
        """Give the tunnel up: this has happened, or could not be done.

        Returns:
            What is to be done about it, in this order.
        """
        if self.failure is not None:
            return _DROP_ALL
        self.failure = f"{what} in {self.client}, {self.target}, {self.tunnel}"
        self.client, self.target, self.tunnel = ClientState.LOST, TargetState.GONE, TunnelState.FAILED
        return _FAIL
