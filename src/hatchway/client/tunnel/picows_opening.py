"""Asking a gateway for a tunnel by picows, for `picows_relay`."""

from __future__ import annotations

import asyncio
import logging
import ssl
from socket import gaierror
from typing import TYPE_CHECKING, Final

from picows import WSError, WSHandshakeError, ws_connect
from python_socks import ProxyError

from hatchway import __version__
from hatchway.client.connection.connection import DELAY, ascii_name
from hatchway.client.connection.proxy import CHECK, proxy_for
from hatchway.client.errors import GatewayUnreachable, TunnelRefused, printable
from hatchway.client.tunnel.attempts import refusal
from hatchway.client.tunnel.opening import (
    CONNECT_TIMEOUT,
    NO_ANSWER,
    SUBPROTOCOL_HEADER,
    as_the_system_says,
    not_reached,
    not_trusted,
)
from hatchway.client.tunnel.picows_relay import PicowsRelay
from hatchway.domain.tunnel_protocol import HALF_CLOSE

if TYPE_CHECKING:
    import socket

    from hatchway.client.connection.tls import Trust
    from hatchway.client.discovery.plan import Route
    from hatchway.client.tunnel.local import LocalEnd
    from hatchway.client.tunnel.relay import Progress

# What it has to say the relay tells, in lines of ours.
logging.getLogger("picows").addHandler(logging.NullHandler())

_MAX_FRAME_RECEIVED: Final = 4 << 20
_READ_BUFFER: Final = 256 * 1024
_READ_AT_ONCE: Final = 4 * (16 * 1024 + 64)
"""Bytes read from a gateway before they are decrypted: four TLS records, which stay in the cache until then,
also where many tunnels take turns."""


async def open_by_picows(
    route: Route, target: str, trusted: Trust, local: LocalEnd, progress: Progress | None
) -> PicowsRelay:
    """What carries the tunnel that the gateway opens.

    Raises:
        TunnelRefused: the gateway said no.
        GatewayUnreachable: there is none, it is not to be trusted, or said nothing that makes sense.
        NotConfigured: the environment names a proxy that is none.
    """
    where = route.address or route.dns_name
    authority = f"[{where}]" if ":" in where else where
    relay = PicowsRelay(local, progress)
    proxy = proxy_for(where, route.port)
    by_tls = proxy is not None and proxy.startswith("https:")

    async def by_proxy(_url: object) -> socket.socket:
        from hatchway.client.connection.proxied import connect_through

        assert proxy is not None
        return await asyncio.to_thread(connect_through, proxy, where, route.port, CONNECT_TIMEOUT)

    connected = False
    try:
        for name in (where, route.dns_name):
            ascii_name(name)
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await ws_connect(
                lambda: relay,
                f"wss://{authority}:{route.port}{target}",
                ssl_context=trusted.everything,
                server_hostname=route.dns_name,
                local_addr=None if route.source_address is None else (route.source_address, 0),
                happy_eyeballs_delay=DELAY,
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
                ssl_incoming_bio_size=_READ_AT_ONCE,
                websocket_handshake_timeout=CONNECT_TIMEOUT,
                # The relay answers pings itself.
                enable_auto_pong=False,
            )
            if not relay.connected:
                raise GatewayUnreachable(str(route), "the connection ended before there was an answer")
            connected = True
    except WSHandshakeError as error:
        raise _refusal(route, error) from error
    except TimeoutError as error:
        raise GatewayUnreachable(str(route), NO_ANSWER) from error
    except ssl.SSLCertVerificationError as error:
        raise not_trusted(route, error) from error
    except (OSError, WSError, ValueError, ProxyError) as error:
        problem = as_the_system_says(error)
        if by_tls and isinstance(problem, (ProxyError, ConnectionRefusedError, gaierror)):
            # All that picows connects to there is the proxy.
            said = f"the proxy refuses: {printable(str(problem))}: {CHECK}"
            raise GatewayUnreachable(str(route), said) from error
        # ValueError: what stands for a name or an address cannot be one.
        raise GatewayUnreachable(str(route), not_reached(problem)) from error
    finally:
        if not connected:
            # Whatever may still come of the attempt must not touch the local end.
            relay.abandon()
    return relay


def _refusal(route: Route, error: WSHandshakeError) -> TunnelRefused | GatewayUnreachable:
    response = error.response
    if response is None:
        return GatewayUnreachable(str(route), printable(str(error)))
    headers = {name.lower(): value for name, value in response.headers.items()}
    return refusal(int(response.status), headers, error.raw_body or b"")
