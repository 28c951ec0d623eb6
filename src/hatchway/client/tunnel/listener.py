"""A local port, and one tunnel for each connection."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from hatchway.client.connection.tls import Trust
from hatchway.client.errors import ClientError, InvalidOption, NotOpened, printable
from hatchway.client.tunnel import relay_limits
from hatchway.client.tunnel.local import connection, parting, reset_at_close
from hatchway.client.tunnel.relay import Progress
from hatchway.client.tunnel.signals import ending_in_order
from hatchway.client.tunnel.tunnel import load, open_tunnel
from hatchway.domain.tunnel_protocol import USUAL_DURATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.client.discovery.plan import TunnelPlan
    from hatchway.client.tunnel.local import LocalEnd

LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 128
_ACCEPT_PAUSE: Final = 0.2
"""Seconds to wait when there are no more file descriptors for another connection."""

PATIENCE: Final = 30.0
"""Seconds for which a connection waits for a gateway that cannot be reached, as while it restarts."""

_PAUSE: Final = 1.0
"""Seconds between two attempts."""

NOTICE: Final = 60
"""Seconds before a tunnel's duration is over at which that is told."""


async def listen(
    plan: TunnelPlan, local_port: int, report: Callable[[str], None], bind_address: str = LOOPBACK
) -> None:
    """Carry connections to a local address until cancelled. A tunnel that fails ends its own connection only.

    Args:
        local_port: 0 picks a free one.
        report: gets a line for each thing that happens; the first names the port, when connections are taken.
        bind_address: an IP address of this machine; whoever can reach it can use the tunnels.

    Raises:
        InvalidOption: the address or port cannot be listened on, or the CA bundle not be used.
        KeyboardInterrupt, SystemExit: a signal ended it.
    """
    with ending_in_order():
        await listen_until_cancelled(plan, local_port, report, bind_address)


async def listen_until_cancelled(
    plan: TunnelPlan, local_port: int, report: Callable[[str], None], bind_address: str = LOOPBACK
) -> None:
    """The same as a part of a task that itself ends in order.

    Raises:
        InvalidOption: as `listen`.
    """
    trusted = Trust(plan.route.ca_bundle)
    load(trusted)
    loop = asyncio.get_running_loop()
    with _listening_socket(bind_address, local_port) as listening:
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
                tunnels.create_task(_carry(plan, trusted, accepted, partial(_tell, report, number)))


def _tell(report: Callable[[str], None], number: int, what: str) -> None:
    report(f"[{number}] {what}")


def _listening_socket(address: str, port: int) -> socket.socket:
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        raise InvalidOption(f"--bind-address {printable(address)!r} is not an IP address") from None
    listening = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except (OSError, OverflowError) as error:
        listening.close()
        raise InvalidOption(
            f"cannot listen on {address} port {port}: {getattr(error, 'strerror', None) or error};"
            " give another local port or --bind-address"
        ) from error
    return listening


async def _carry(plan: TunnelPlan, trusted: Trust, sock: socket.socket, tell: Callable[[str], None]) -> None:
    warnings = list[asyncio.TimerHandle]()

    def opened() -> None:
        seconds = plan.request.max_tunnel_duration or USUAL_DURATION
        if seconds > NOTICE:
            notice = f"In {NOTICE} seconds this tunnel reaches its maximum duration, and is cut."
            warnings.append(asyncio.get_running_loop().call_later(seconds - NOTICE, tell, notice))

    progress = Progress(opened)
    with sock:
        tell("Accepted new tcp connection, opening websocket tunnel.")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ended = "not opened"
        trusted.renew()
        try:
            await _open(plan, trusted, connection(sock), progress, tell)
            ended = "ended here" if progress.ended_here else "ended by the host"
        except asyncio.CancelledError:
            if progress.untaken:
                tell(relay_limits.cut_short(progress.untaken))
            with contextlib.suppress(OSError):
                reset_at_close(sock)
            raise
        except ClientError as error:
            for line in str(error).splitlines():
                tell(line)
            ended = "cut" if warnings or progress.sent or progress.received else ended
        finally:
            for warning in warnings:
                warning.cancel()
        tell(f"Closing tcp connection: {progress.sent} bytes sent, {progress.received} received, {ended}.")
        with contextlib.suppress(OSError):
            for pause in parting(sock, cut=ended == "cut"):
                await asyncio.sleep(pause)


async def _open(
    plan: TunnelPlan,
    trusted: Trust,
    local: LocalEnd,
    progress: Progress,
    tell: Callable[[str], None],
) -> None:
    """Open and carry a tunnel; a gateway that cannot be reached is tried again for a while.

    Raises:
        ClientError: as `open_tunnel`.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    told = False
    while True:
        try:
            await open_tunnel(plan, trusted, local, progress)
        except NotOpened as error:
            if not error.passing or loop.time() > until or local.reader_is_gone():
                raise
            if not told:
                for line in f"{error}: trying again for {PATIENCE:.0f} seconds".splitlines():
                    tell(line)
                told = True
            await asyncio.sleep(_PAUSE)
        else:
            return
