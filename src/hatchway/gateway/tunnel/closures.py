"""Why a tunnel ends: the gateway's own close codes and reasons. Pure.

The AWS CLI prints `Websocket Closure Reason: <reason>` for any close code but 1000, so users read every word
here. Protocol errors are in `transport.websocket.close`, quotas in `admission.refusal`.

A new code also needs an entry in `telemetry.metrics.CLOSE_REASONS`, in docs/gateway.md and, with what its
user can do about it, in `hatchway.client.errors`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hatchway.transport.websocket.close import Closure

TARGET_CLOSED: Final = Closure(1000)
CLIENT_CLOSED: Final = Closure(1000)
BOTH_ENDED: Final = Closure(1000)
CLIENT_GONE: Final = Closure(1006)
"""Never sent (RFC 6455 section 7.4.1): the client sent no close frame."""
GATEWAY_STOPPING: Final = Closure(1001, "Gateway is shutting down")
TEXT_REFUSED: Final = Closure(1003, "A tunnel carries binary frames only")
TARGET_UNREACHABLE: Final = Closure(1011, "Unable to connect to target")
NOT_RECORDED: Final = Closure(1011, "The tunnel could not be recorded in the audit trail")
OUT_OF_TOUCH: Final = Closure(1013, "Gateway has lost touch with its store")
ACCESS_REVOKED: Final = Closure(4003, "Access revoked")
TERMINATED: Final = Closure(4004, "Tunnel terminated by an administrator")


@lru_cache(maxsize=16)
def duration_reached(seconds: int) -> Closure:
    return Closure(4001, f"Tunnel reached its maximum duration of {seconds} seconds")


def idle_limit_reached(seconds: int) -> Closure:
    return Closure(4002, f"Tunnel idle for {seconds} seconds")
