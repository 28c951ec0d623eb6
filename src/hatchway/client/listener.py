"""A local port, and one tunnel for each connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final

from hatchway.client.errors import ClientError, InvalidOption
from hatchway.client.local import connection
from hatchway.client.profile import trust
from hatchway.client.signals import ending_in_order
from hatchway.client.tunnel import open_tunnel

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from hatchway.client.plan import TunnelPlan

LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 128
_ACCEPT_PAUSE: Final = 0.2
"""Seconds to wait when there are no more file descriptors for another connection."""


async def listen(plan: TunnelPlan, local_port: int, report: Callable[[str], None]) -> None:
    """Carry connections to 127.0.0.1 until cancelled. A tunnel that fails ends its own connection only.

    Args:
        local_port: 0 picks a free one.
        report: gets a line for each thing that happens; the first names the port, when connections are taken.

    Raises:
        InvalidOption: the port cannot be listened on, or the CA bundle not be used.
    """
    context = trust(plan.route.ca_bundle)
    loop = asyncio.get_running_loop()
    with _listening_socket(local_port) as listening, ending_in_order():
        report(f"Listening for connections on port {listening.getsockname()[1]}.")
        async with asyncio.TaskGroup() as tunnels:
            number = 0
            while True:
                try:
                    accepted, _ = await loop.sock_accept(listening)
                except OSError:
                    await asyncio.sleep(_ACCEPT_PAUSE)
                    continue
                number += 1
                tunnels.create_task(_carry(plan, context, accepted, number, report))


def _listening_socket(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except (OSError, OverflowError) as error:
        listening.close()
        raise InvalidOption(f"cannot listen on port {port}: {error}; give another --local-port") from error
    return listening


async def _carry(
    plan: TunnelPlan, context: ssl.SSLContext, sock: socket.socket, number: int, report: Callable[[str], None]
) -> None:
    with sock:
        report(f"[{number}] Accepted new tcp connection, opening websocket tunnel.")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await open_tunnel(plan, context, connection(sock))
        except ClientError as error:
            report(f"[{number}] {error}")
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        report(f"[{number}] Closing tcp connection.")
