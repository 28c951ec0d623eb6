"""How a worker stops: what tells it to, and how it ends its tunnels."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final

import structlog

from hatchway.gateway.tunnel.closures import GATEWAY_STOPPING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.gateway.lifecycle import TunnelHandler
    from hatchway.gateway.tunnel.registry import Registry
    from hatchway.supervision.supervised import Supervised
    from hatchway.transport.listening.listener import Listener
    from hatchway.transport.websocket.server import WebSocketServer

    StopRequests = asyncio.Queue[int]

_CUT_SECONDS: Final = 2.0
"""Seconds for tunnels to end in order that are still open at the end of the drain; then they are dropped."""

_DROP_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 0.2

_REPLACED: Final = 0
"""In place of a signal number: another process has replaced this one and accepts connections from now on."""

_ORPHANED: Final = -1
"""In place of a signal number: the supervisor is gone, and nobody has replaced this process."""

log = structlog.get_logger("hatchway.gateway")


def watch_stop_requests(loop: asyncio.AbstractEventLoop, supervised: Supervised | None) -> StopRequests:
    """Everything that tells this process to stop from now on, in order: signals, and what its supervisor
    says."""
    requests: StopRequests = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, requests.put_nowait, number)
    if supervised is not None:
        supervised.watch(
            loop,
            replaced=lambda: requests.put_nowait(_REPLACED),
            orphaned=lambda: requests.put_nowait(_ORPHANED),
        )
    return requests


async def drain(
    stop_requests: StopRequests,
    *,
    handler: TunnelHandler,
    listener: Listener,
    clients: WebSocketServer,
    registry: Registry,
    replaced: Callable[[], None],
    seconds: float,
) -> float:
    """Wait until told to stop, then for the tunnels to end, up to `seconds`. A second request ends them at
    once.

    Args:
        replaced: called when another process accepts connections from now on.

    Returns:
        The event loop's time at which the tunnels' time was up.
    """
    loop = asyncio.get_running_loop()
    reason = await stop_requests.get()
    if reason in (_REPLACED, _ORPHANED):
        listener.retire()
        await asyncio.to_thread(replaced)
    if reason == _REPLACED:
        log.info("gateway succeeded by another", tunnels=len(registry))
        second_request = asyncio.ensure_future(stop_requests.get())
        while (listener.pending or len(clients)) and not second_request.done():
            await asyncio.wait([second_request], timeout=_CHECK_SECONDS)
        second_request.cancel()
    handler.draining = True
    log.info("gateway drains", tunnels=len(registry), seconds=seconds)
    drained_at = loop.time() + seconds
    await wait_for_first(registry.wait_until_empty(), stop_requests.get(), seconds=seconds)
    registry.cut_all(GATEWAY_STOPPING)
    await wait_for_first(registry.wait_until_empty(), seconds=_CUT_SECONDS)
    registry.drop_all()
    await wait_for_first(registry.wait_until_empty(), seconds=_DROP_SECONDS)
    return drained_at


async def wait_for_first(*awaitables: Any, seconds: float) -> None:
    """Wait for the first of these, or so many seconds; cancel the others."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
