"""The state of one tunnel: `state_tables` as one machine that takes events and returns actions.

    states = TunnelStates()
    states.on(Event.TARGET_CONNECTED)     # (READ_TARGET, RESUME_CLIENT, DELIVER_HELD)
    states.on(Event.TARGET_FIN)           # (SEND_CLOSE, RECORD_CLOSURE)

Pure: `relay` turns what happens to its two connections into events, and carries out the actions in order.

Each of the three machines sees every event. The client and the target change state on events from outside.
The tunnel changes state on those that concern it, and on two events derived from the states of the other two:
`ENDED` and `BOTH_LOST`.

If an event comes that cannot happen, or an action raises, the state of the tunnel is unknown: both
connections are dropped, and the tunnel is `FAILED`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from hatchway.gateway.tunnel.events import Action, Event
from hatchway.gateway.tunnel.state_tables import (
    CLIENT,
    FORWARDS_INPUT,
    FORWARDS_OUTPUT,
    TARGET,
    TUNNEL,
    ClientState,
    TargetState,
    TunnelState,
)

if TYPE_CHECKING:
    from hatchway.gateway.tunnel.state_tables import Table

_S = TypeVar("_S", ClientState, TargetState, TunnelState)

_CARRYING: Final = FORWARDS_INPUT | FORWARDS_OUTPUT

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
"""What `FAILED` does about every event: a target may be connected only now."""


def _with_every_event(table: Table[_S]) -> Table[_S]:
    """The same table, in which events that do not concern the machine change nothing."""
    concerning = {event for row in table.values() for event in row}
    return {
        state: {event: (state, ()) for event in Event if event not in concerning} | dict(row)
        for state, row in table.items()
    }


_client: Final = _with_every_event(CLIENT)
_target: Final = _with_every_event(TARGET)
_tunnel: Final = _with_every_event(TUNNEL)


@cache
def _step(
    client: ClientState, target: TargetState, tunnel: TunnelState, event: Event
) -> tuple[ClientState, TargetState, TunnelState, tuple[Action, ...]]:
    """The next states, and the actions to take.

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
    """The state of one tunnel.

    Attributes:
        client, target, tunnel: the states of the three machines.
        failure: the impossible event or the failed action; None as long as there was none.
    """

    __slots__ = ("client", "failure", "target", "tunnel")

    def __init__(self, *, half_close: bool = False) -> None:
        """`half_close`: whether the client supports half-close."""
        self.client = ClientState.DUPLEX if half_close else ClientState.OPEN
        self.target = TargetState.CONNECTING
        self.tunnel = TunnelState.CARRYING
        self.failure: str | None = None

    def on(self, event: Event) -> tuple[Action, ...]:
        """Change state on an event from outside.

        Returns:
            The actions to take, in this order. For an event that cannot happen: those that drop both
            connections.
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
        """Give the tunnel up because of `what`: an event that cannot happen, or an action that failed.

        Returns:
            The actions to take, in this order.
        """
        if self.failure is not None:
            return _DROP_ALL
        self.failure = f"{what} in {self.client}, {self.target}, {self.tunnel}"
        self.client, self.target, self.tunnel = ClientState.LOST, TargetState.GONE, TunnelState.FAILED
        return _FAIL
