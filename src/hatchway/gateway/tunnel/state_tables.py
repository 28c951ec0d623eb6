"""The three state machines of a tunnel, as tables: which event leads to which state, and which actions it
needs.

Pure. `states` walks them. docs/tunnel-states.md has them as diagrams, drawn by scripts/draw_states.py.

- **client**: the WebSocket to the client. It begins as `OPEN`, or as `DUPLEX` if the client supports
  half-close.
- **target**: the TCP connection to the target.
- **tunnel**: the two as a whole: it has `ENDED` when no more data is passed on, and is `GONE` when both
  connections are gone. It also has the timer of a tunnel that was cut.

An event that does not occur in a machine's table does not concern that machine. An event that does occur, but
not for the current state, cannot happen: tests/gateway/tunnel/test_states.py walks through everything that
can happen to two connections and meets exactly the pairs of state and event in the tables.

Back pressure is not in the tables: whether a side is read depends on how full the other side's buffer is, not
on what happened before, and no transition depends on it.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from hatchway.gateway.tunnel.events import Action, Event

if TYPE_CHECKING:
    from collections.abc import Mapping

_S = TypeVar("_S", bound=StrEnum)

Step: TypeAlias = "tuple[_S, tuple[Action, ...]]"
"""The next state, and the actions to take."""

Table: TypeAlias = "Mapping[_S, Mapping[Event, Step[_S]]]"


def _to(state: _S, *actions: Action) -> Step[_S]:
    return state, actions


def _stay(state: _S, *events: Event) -> dict[Event, Step[_S]]:
    """These events can happen and change nothing."""
    return dict.fromkeys(events, _to(state))


# The client's side.


class ClientState(StrEnum):
    """The state of the connection to the client."""

    OPEN = auto()
    """Frames pass both ways, or are held until the target is connected."""

    DUPLEX = auto()
    """Like `OPEN`, with a client that supports half-close: either side can end its own direction."""

    INPUT_ENDED = auto()
    """The client sends no more data but still receives what the target sends."""

    OUTPUT_ENDED = auto()
    """The client knows that the target sends no more data. What the client sends is still passed on."""

    CLOSING = auto()
    """The target has sent everything, and a close frame was sent to the client. Until the client answers it,
    its data is still passed on: a target that has sent a FIN may still read."""

    DONE = auto()
    """Both directions have ended, and a close frame was sent."""

    CUT = auto()
    """A close frame was sent, and nothing is passed on any more."""

    DISCONNECTING = auto()
    """Nothing from the client is used any more: TLS and TCP are being ended."""

    LOST = auto()
    """The connection is gone."""


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


CLIENT: Final = _client_table()

ACCEPTS_FRAMES: Final = frozenset(ClientState) - {ClientState.DISCONNECTING, ClientState.LOST}
"""States in which frames from the client are accepted."""

FORWARDS_INPUT: Final = frozenset(
    {ClientState.OPEN, ClientState.DUPLEX, ClientState.OUTPUT_ENDED, ClientState.CLOSING}
)
"""States in which the client's data is passed on to the target."""

FORWARDS_OUTPUT: Final = frozenset({ClientState.OPEN, ClientState.DUPLEX, ClientState.INPUT_ENDED})
"""States in which the target's data is passed on to the client."""

MAY_SEND_FRAMES: Final = FORWARDS_OUTPUT | {ClientState.OUTPUT_ENDED}
"""States in which frames may be sent to the client: no close frame has been sent yet."""

AWAITS_CLIENT: Final = frozenset({ClientState.CLOSING, ClientState.DONE})
"""States in which a client may take its time to receive what it was sent before it answers the close
frame."""


# The target's side.


class TargetState(StrEnum):
    """The state of the connection to the target."""

    CONNECTING = auto()
    """Not connected yet. What the client sends is held."""

    CONNECTING_TO_ANSWER = auto()
    """Like `CONNECTING`, and the client sends no more data: the target will get what is held and a FIN, and
    what it sends is passed on."""

    CONNECTING_TO_DELIVER = auto()
    """Like `CONNECTING`, and the client has left: the target will get what is held and a FIN."""

    CANCELLED = auto()
    """The tunnel was cut before the target was connected: the target gets nothing."""

    OPEN = auto()
    FIN_RECEIVED = auto()
    """The target sends no more data but still gets what the client sends."""

    ANSWERING = auto()
    """The target gets no more data, and what it sends is passed on."""

    FIN_SENT = auto()
    """The target gets no more data and has time to end its side."""

    CLOSING = auto()
    """The connection is closed once everything that was passed on has been sent."""

    GONE = auto()
    """The connection is gone, or there will be none."""


_CLIENT_LEAVES: Final = (Event.CLIENT_CLOSE_FRAME, Event.CLIENT_FAULT, Event.CLIENT_LOST)
"""After these the client sends no more data."""


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


TARGET: Final = _target_table()


# The tunnel as a whole.


class TunnelState(StrEnum):
    """The state of the tunnel as a whole."""

    CARRYING = auto()
    ENDED = auto()
    """No more data is passed on. What has been passed on is on its way."""

    CUT = auto()
    """The gateway ended the tunnel: the client has a moment to receive the close frame and answer it."""

    ABANDONED = auto()
    """Cut, and the client's time is over. The target has a moment to receive what was passed on before."""

    GONE = auto()
    """Both connections are gone."""

    FAILED = auto()
    """Something happened that cannot happen. Both connections have been dropped."""


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


TUNNEL: Final = _tunnel_table()
