"""Opening any number of tunnels in an event loop, and carrying them: by the compiled core where that is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hatchway.client.errors import NotOpened
from hatchway.client.tunnel.asyncio_opening import open_in_loop
from hatchway.client.tunnel.asyncio_relay import AsyncioRelay
from hatchway.client.tunnel.attempts import attempts
from hatchway.client.tunnel.event_loop import is_core_s

if TYPE_CHECKING:
    from hatchway.client.connection.tls import Trust
    from hatchway.client.discovery.plan import Route, TunnelPlan
    from hatchway.client.tunnel.local import LocalEnd
    from hatchway.client.tunnel.relay import Progress, Relay


async def open_tunnel(
    plan: TunnelPlan, trusted: Trust, local: LocalEnd, progress: Progress | None = None
) -> None:
    """Open one tunnel and carry it to its end. `progress` is kept up to date.

    An endpoint that refuses has the plan's others tried, where these may not. Nothing has been read from the
    local end when no tunnel is opened.

    Raises:
        TunnelRefused: the gateway said no.
        GatewayUnreachable: there is no gateway to ask, or it is not to be trusted.
        EveryEndpointRefused: one of these is what became of each of several endpoints.
        TunnelClosed: the tunnel ended otherwise than by its target's closing it.
        NotConfigured: there are no credentials.
    """
    relay = await _opened(plan, trusted, local, progress)
    await relay.finished()


def load(trusted: Trust) -> None:
    """Have what the first tunnel in this event loop would wait for.

    Raises:
        InvalidOption: there are no certificates in the CA bundle.
    """
    if is_core_s(asyncio.get_running_loop()):
        trusted.compiled  # noqa: B018 - it is kept
    else:
        trusted.everything  # noqa: B018


async def _opened(plan: TunnelPlan, trusted: Trust, local: LocalEnd, progress: Progress | None) -> Relay:
    """By the first endpoint that does not refuse.

    Raises:
        ClientError: as `open_tunnel`.
    """
    credentials = await asyncio.to_thread(plan.credentials)
    steps = attempts(plan, credentials)
    route, target = next(steps)
    while True:
        try:
            return await _connect(route, target, trusted, local, progress)
        except NotOpened as problem:
            route, target = steps.send(problem)


async def _connect(
    route: Route, target: str, trusted: Trust, local: LocalEnd, progress: Progress | None
) -> Relay:
    # The core takes sockets alone.
    by_core = is_core_s(asyncio.get_running_loop()) and local.is_socket
    return AsyncioRelay(await open_in_loop(route, target, trusted, by_core=by_core), local, progress)
