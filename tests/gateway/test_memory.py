"""A tunnel that is stalled holds at most 1 MiB, whoever stalls it, and the rest of the gateway goes on."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from types import FunctionType, ModuleType

import pytest
from tests.gateway.harness import Says, echo, gateway_process, resident_bytes, running_gateway, target
from tests.transport.harness import BINARY, PING, WebSocket, frame, run

from hatchway.gateway.admission.decision import Admitted
from hatchway.gateway.lifecycle import TunnelHandler
from hatchway.transport.connection.readiness import Readiness
from hatchway.transport.websocket.server import WebSocketServer

TUNNELS = 20
MIB = 1 << 20


async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(1 << 16))
        await writer.drain()


async def never_read(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def send_until_stuck(client: WebSocket, data: bytes) -> None:
    async def send() -> None:
        while True:
            client.writer.write(data)
            await client.writer.drain()

    sending = asyncio.create_task(send())
    await asyncio.wait({sending}, timeout=0.4)
    sending.cancel()


async def stall_by_reading_nothing(client: WebSocket) -> None:
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0.1)


async def stall_by_a_target_that_reads_nothing(client: WebSocket) -> None:
    await send_until_stuck(client, frame(BINARY, bytes(65_000)) * 4)


async def ping_and_read_nothing(client: WebSocket) -> None:
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await send_until_stuck(client, frame(PING, bytes(125)) * 500)


@pytest.mark.parametrize(
    ("handler", "stall"),
    [
        (flood, stall_by_reading_nothing),
        (never_read, stall_by_a_target_that_reads_nothing),
        (flood, ping_and_read_nothing),
    ],
    ids=["client reads nothing", "target reads nothing", "client pings and reads nothing"],
)
def test_a_stalled_tunnel_holds_at_most_one_mebibyte(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    stall: Callable[[WebSocket], Awaitable[None]],
) -> None:
    async def test() -> None:
        async with target(handler) as target_port:
            with gateway_process(target_port) as (port, pid):
                warm = await WebSocket.open(port)
                await stall(warm)
                before = resident_bytes(pid)
                stalled = [await WebSocket.open(port) for _ in range(TUNNELS)]
                await asyncio.gather(*map(stall, stalled))
                await asyncio.sleep(0.5)
                held = (resident_bytes(pid) - before) / TUNNELS
                print(f"{held / 1024:.0f} KiB a tunnel")
                assert held < MIB

    run(test)


def test_an_idle_tunnel_has_few_objects_of_its_own() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            clients = [await WebSocket.open(gateway.port) for _ in range(2)]
            for client in clients:
                await client.send(b"connected")
                assert await client.frame() == (BINARY, b"connected")
            (_, one), (_, other) = gateway.registry
            shared = reached_from(other)
            own = [thing for number, thing in reached_from(one).items() if number not in shared]
            taken = sum(map(sys.getsizeof, own))
            print(taken, "bytes of", *sorted(type(thing).__name__ for thing in own))
            assert taken < 2_600
            for client in clients:
                client.vanish()
            await gateway.registry.wait_until_empty()

    run(test)


CLASSES = type, ModuleType, FunctionType
COMMON = TunnelHandler, WebSocketServer, Readiness, asyncio.AbstractEventLoop


def reached_from(relay: object) -> dict[int, object]:
    """A tunnel's objects, by their ids, without what all have together and what the decision was made of."""
    found: dict[int, object] = {}
    ahead = [relay]
    while ahead:
        thing = ahead.pop()
        if id(thing) not in found and not isinstance(thing, (*CLASSES, *COMMON, Admitted)):
            found[id(thing)] = thing
            ahead += gc.get_referents(thing)
    return found
