"""What happens to a tunnel, and what is done about it: the events and actions of its states. Pure."""

from __future__ import annotations

from enum import StrEnum, auto


class Event(StrEnum):
    """Something that happens to a tunnel."""

    CLIENT_CLOSE_FRAME = auto()
    CLIENT_END = auto()
    """The client sends no more data, but still wants what the target sends."""

    CLIENT_FAULT = auto()
    """The client broke the protocol, or exceeded its allowance."""

    CLOSE_UNANSWERED = auto()
    """The client did not answer the close frame in time."""

    CLIENT_DEAD = auto()
    """The client's machine no longer answers anything."""

    CLIENT_LOST = auto()
    TARGET_CONNECTED = auto()
    NO_TARGET = auto()
    """There will be no target: it cannot be reached, must not be reached, or is not needed."""

    TARGET_FIN = auto()
    TARGET_OVERDUE = auto()
    """The target did not end its side in time."""

    TARGET_LOST = auto()
    CUT = auto()
    """The gateway ends the tunnel: it is revoked, terminated, idle or out of time, or the gateway stops."""

    CUT_TIMEOUT = auto()
    DROP = auto()
    """Both connections have to go at once."""

    ENDED = auto()
    """Derived: one side takes or gives no more data."""

    BOTH_LOST = auto()
    """Derived: both connections are gone."""


class Action(StrEnum):
    """Something to do about an event."""

    DELIVER_FRAMES = auto()
    """Pass on the frames that were read together with this event and precede it."""

    SEND_CLOSE = auto()
    """Send the client the close frame that the event calls for, and give it time to answer."""

    CLOSE_AND_HANG_UP = auto()
    """Send the client that close frame, then end TLS and TCP."""

    SEND_END = auto()
    """Tell the client that the target sends no more data."""

    HANG_UP = auto()
    """End TLS and TCP with the client after everything that was sent."""

    RESUME_CLIENT = auto()
    """The target no longer keeps the client from being read."""

    ABORT_CLIENT = auto()
    ABORT_CONNECTING = auto()
    READ_TARGET = auto()
    DELIVER_HELD = auto()
    DISCARD_HELD = auto()
    SEND_FIN = auto()
    """Send the target a FIN after everything that was passed on, and give it time to end its side."""

    END_TARGET_INPUT = auto()
    """Send the target a FIN after everything that was passed on, and go on reading from it."""

    AWAIT_TARGET_FIN = auto()
    """Give the target, which already has its FIN, time to end its side."""

    CLOSE_TARGET = auto()
    """Close the connection to the target after everything that was passed on."""

    ABORT_TARGET = auto()
    RECORD_CLOSURE = auto()
    """Note why the tunnel ends, as the event says, and how long it has lasted."""

    RECORD_CLIENT_CLOSED = auto()
    """Note the same with the client as the cause, whatever code it gave."""

    START_CUT_TIMER = auto()
    START_LINGER_TIMER = auto()
    CANCEL_TIMER = auto()
    REPORT_ENDED = auto()
    REPORT_GONE = auto()
    LOG_FAILURE = auto()
