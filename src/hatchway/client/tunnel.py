"""Opening a tunnel: the WebSocket handshake with a gateway, and what its refusals mean."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Final

from picows import WSError, WSHandshakeError, ws_connect

from hatchway import __version__
from hatchway.client import clock
from hatchway.client.errors import (
    REQUEST_ID_HEADER,
    EveryEndpointRefused,
    GatewayUnreachable,
    NotOpened,
    TunnelRefused,
    printable,
)
from hatchway.client.local import standard_streams
from hatchway.client.memory import Refusals
from hatchway.client.profile import trust
from hatchway.client.proxy import proxy_for
from hatchway.client.relay import SUBPROTOCOL_HEADER, Relay
from hatchway.client.signals import ending_in_order
from hatchway.domain.tunnel import HALF_CLOSE

if TYPE_CHECKING:
    import socket

    from hatchway.client.local import LocalEnd
    from hatchway.client.plan import Route, TunnelPlan
    from hatchway.client.relay import Progress
    from hatchway.client.request import Credentials

CONNECT_TIMEOUT: Final = 20.0
"""Seconds for name, connection, TLS and the gateway's answer together."""

_MAX_FRAME_RECEIVED: Final = 4 << 20
_READ_BUFFER: Final = 256 * 1024
_HAPPY_EYEBALLS_DELAY: Final = 0.25
"""Seconds before the next address of a name is tried too (RFC 8305 section 5)."""


async def open_tunnel(
    plan: TunnelPlan, context: ssl.SSLContext, local: LocalEnd, progress: Progress | None = None
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
    relay = await _opened(plan, context, local, progress)
    await relay.finished()


async def _opened(
    plan: TunnelPlan, context: ssl.SSLContext, local: LocalEnd, progress: Progress | None
) -> Relay:
    """By the first endpoint that does not refuse.

    Raises:
        ClientError: as `open_tunnel`.
    """
    credentials = await asyncio.to_thread(plan.credentials)
    refusals = Refusals(plan.region, credentials.access_key_id)
    refused: list[tuple[str, NotOpened]] = []
    out_of_reach: set[Route] = set()
    for one in (plan, *plan.others):
        # Whoever is not there for one endpoint is not there for another.
        if one.route in out_of_reach:
            continue
        try:
            return await _opened_by(one, credentials, context, local, progress)
        except NotOpened as problem:
            refused.append((one.request.endpoint_id, problem))
            if not problem.by_another:
                break
            # A gateway that stops, or cannot decide, has the same to say of each endpoint.
            if isinstance(problem, GatewayUnreachable) or problem.passing:
                out_of_reach.add(one.route)
            if plan.others:
                refusals.add(one.request.endpoint_id)
    if len(refused) == 1:
        raise refused[0][1]
    raise EveryEndpointRefused(refused)


async def _opened_by(
    plan: TunnelPlan,
    credentials: Credentials,
    context: ssl.SSLContext,
    local: LocalEnd,
    progress: Progress | None,
) -> Relay:
    """
    Raises:
        NotOpened: the plan's own endpoint refuses.
    """

    async def connected() -> Relay:
        target = plan.request.presigned(credentials, region=plan.region, now=clock.now())
        return await _connect(plan.route, target, context, local, progress)

    try:
        return await connected()
    except TunnelRefused as refused:
        if not clock.learn(refused.message):
            raise
    return await connected()


async def relay_standard_streams(plan: TunnelPlan) -> None:
    """Carry one tunnel on standard input and output, as ssh's ProxyCommand does.

    Raises:
        InvalidOption: standard input is a terminal.
        ClientError: as `open_tunnel`.
    """
    with standard_streams() as local, ending_in_order():
        await open_tunnel(plan, trust(plan.route.ca_bundle), local)


async def _connect(
    route: Route,
    target: str,
    context: ssl.SSLContext,
    local: LocalEnd,
    progress: Progress | None = None,
) -> Relay:
    where = route.address or route.dns_name
    authority = f"[{where}]" if ":" in where else where
    relay = Relay(local, progress)
    proxy = proxy_for(where, route.port)
    by_tls = proxy is not None and proxy.startswith("https:")

    async def by_proxy(_url: object) -> socket.socket:
        from hatchway.client.proxied import connect_through

        assert proxy is not None
        return await asyncio.to_thread(connect_through, proxy, where, route.port, CONNECT_TIMEOUT)

    connected = False
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await ws_connect(
                lambda: relay,
                f"wss://{authority}:{route.port}{target}",
                ssl_context=context,
                server_hostname=route.dns_name,
                local_addr=None if route.source_address is None else (route.source_address, 0),
                happy_eyeballs_delay=_HAPPY_EYEBALLS_DELAY,
                # The signature covers the Host header, in which DnsName stands without a port.
                extra_headers={
                    "Host": route.dns_name,
                    "User-Agent": f"hatchway/{__version__}",
                    SUBPROTOCOL_HEADER: HALF_CLOSE,
                },
                # Within TLS to a proxy, TLS is picows's.
                proxy=proxy if by_tls else None,
                socket_factory=None if proxy is None or by_tls else by_proxy,
                max_redirects=0,
                max_frame_size=_MAX_FRAME_RECEIVED,
                read_buffer_init_size=_READ_BUFFER,
                websocket_handshake_timeout=CONNECT_TIMEOUT,
            )
            connected = True
    except WSHandshakeError as error:
        raise _refusal(route, error) from error
    except TimeoutError as error:
        raise GatewayUnreachable(str(route), f"no answer within {CONNECT_TIMEOUT:.0f} seconds") from error
    except ssl.SSLCertVerificationError as error:
        raise GatewayUnreachable(
            str(route),
            f"its certificate is not trusted ({error.verify_message}): give the CA with --ca-bundle or"
            " AWS_CA_BUNDLE, or add it to the system's with 'hatchway trust install'",
            passing=False,
        ) from error
    except (OSError, WSError, ValueError) as error:
        # ValueError: what stands for a name or an address cannot be one.
        raise GatewayUnreachable(str(route), printable(str(error))) from error
    finally:
        if not connected:
            # Whatever may still come of the attempt must not touch the local end.
            relay.abandon()
    return relay


def _refusal(route: Route, error: WSHandshakeError) -> TunnelRefused | GatewayUnreachable:
    response = error.response
    if response is None:
        return GatewayUnreachable(str(route), printable(str(error)))
    try:
        body = json.loads(error.raw_body or b"")
    except (ValueError, RecursionError):
        body = None
    fields = body if isinstance(body, dict) else {}
    request_id = response.headers.get(REQUEST_ID_HEADER)
    return TunnelRefused(
        int(response.status),
        printable(str(fields.get("ErrorCode", ""))),
        printable(str(fields.get("Message", ""))),
        None if request_id is None else printable(request_id),
        printable(str(fields.get("Explanation", ""))),
    )
