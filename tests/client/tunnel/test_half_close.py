"""Ends of one direction alone, through this client and a real gateway to real hosts."""

import asyncio
import os
import random
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.client.certificates import Certificates
from tests.client.stubs import StubGateway, tunnel_plan
from tests.gateway.harness import Says, running_gateway, target
from tests.transport.compiled import needs_core
from tests.transport.harness import TIMEOUT

from hatchway.client.connection.tls import Trust
from hatchway.client.discovery.plan import TunnelPlan
from hatchway.client.tunnel import event_loop
from hatchway.client.tunnel.listener import listen
from hatchway.client.tunnel.local import LocalEnd, standard_streams
from hatchway.client.tunnel.stream_relay import carry
from hatchway.client.tunnel.tunnel import open_tunnel

Carrier = Callable[[TunnelPlan, Trust, LocalEnd], Coroutine[Any, Any, None]]


def plan(certificates: Certificates, port: int) -> TunnelPlan:
    return tunnel_plan(StubGateway(port, str(certificates.ca), lambda: None))  # type: ignore[arg-type, return-value]


async def answers_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write((await reader.read())[::-1])
    writer.close()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """On an event loop that clients use, and gateways can."""
    event_loop.run(asyncio.wait_for(test(), 2 * TIMEOUT))


class EndsFirst:
    """A host that says it all at once, and then listens."""

    def __init__(self) -> None:
        self.came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"that is all")
        writer.write_eof()
        self.came.set_result(await reader.read())
        writer.close()


def alone(plan: TunnelPlan, trusted: Trust, local: LocalEnd) -> Coroutine[Any, Any, None]:
    """As a tunnel on standard streams is carried."""
    return asyncio.to_thread(carry, plan, trusted, local)


def by_event_loop(plan: TunnelPlan, trusted: Trust, local: LocalEnd) -> Coroutine[Any, Any, None]:
    """As the tunnels of a local port are carried."""
    return open_tunnel(plan, trusted, local)


both = pytest.mark.parametrize("carrier", [by_event_loop, alone])


@both
def test_what_a_host_says_after_the_end_of_standard_input_arrives_whole(
    certificates: Certificates, carrier: Carrier
) -> None:
    sent = random.Random(1).randbytes(3_000_000)

    async def test() -> None:
        async with (
            target(answers_at_the_end) as port,
            running_gateway(Says(port), tls=certificates.server_context) as gateway,
        ):
            to_us, input_ = socket.socketpair()
            output, from_us = socket.socketpair()
            with to_us, from_us, input_, output, standard_streams(input_.fileno(), output.fileno()) as local:

                def feed() -> None:
                    to_us.sendall(sent)
                    to_us.shutdown(socket.SHUT_WR)

                fed = asyncio.create_task(asyncio.to_thread(feed))
                from_us.setblocking(False)
                reader, writer = await asyncio.open_connection(sock=from_us)
                carried = asyncio.create_task(
                    carrier(plan(certificates, gateway.port), Trust(str(certificates.ca)), local)
                )
                assert await asyncio.wait_for(reader.readexactly(len(sent)), TIMEOUT) == sent[::-1]
                await asyncio.gather(carried, fed)
                writer.close()
            assert (await gateway.trail.end()).closure.code == 1000

    run(test)


@both
def test_the_end_of_a_host_is_the_end_of_standard_output_and_input_still_reaches_it(
    certificates: Certificates, carrier: Carrier
) -> None:
    async def test() -> None:
        host = EndsFirst()
        async with (
            target(host) as port,
            running_gateway(Says(port), tls=certificates.server_context) as gateway,
        ):
            input_read, input_write = os.pipe()
            output_read, output_write = os.pipe()
            with standard_streams(input_read, output_write) as local:
                carried = asyncio.create_task(
                    carrier(plan(certificates, gateway.port), Trust(str(certificates.ca)), local)
                )
                with os.fdopen(output_read, "rb") as output:
                    assert await asyncio.to_thread(output.read) == b"that is all"
                assert not carried.done()
                os.write(input_write, b"and more")
                os.close(input_write)
                assert await asyncio.wait_for(host.came, TIMEOUT) == b"and more"
                await carried
            os.close(input_read)
            os.close(output_write)

    run(test)


@both
def test_a_host_that_closes_wholly_ends_the_tunnel_at_the_next_byte_though_input_goes_on(
    certificates: Certificates, carrier: Carrier
) -> None:
    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.close()

    async def test() -> None:
        async with (
            target(closes) as port,
            running_gateway(Says(port), tls=certificates.server_context) as gateway,
        ):
            input_read, input_write = os.pipe()
            output_read, output_write = os.pipe()
            with standard_streams(input_read, output_write) as local:
                carried = asyncio.create_task(
                    carrier(plan(certificates, gateway.port), Trust(str(certificates.ca)), local)
                )
                with os.fdopen(output_read, "rb") as output:
                    assert await asyncio.to_thread(output.read) == b"bye"
                os.write(input_write, b"still here?")
                await asyncio.wait_for(carried, TIMEOUT)
            for descriptor in (input_read, input_write, output_write):
                os.close(descriptor)
            assert (await gateway.trail.end()).closure.code == 1000

    run(test)


@pytest.mark.parametrize("compiled_core", [pytest.param("on", marks=needs_core), "off"])
def test_a_connection_to_a_local_port_ends_its_directions_one_by_one(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, compiled_core: str
) -> None:
    monkeypatch.setenv(event_loop.COMPILED_CORE, compiled_core)

    async def test() -> None:
        host = EndsFirst()
        for handler in (answers_at_the_end, host):
            async with (
                target(handler) as port,
                running_gateway(Says(port), tls=certificates.server_context) as gateway,
            ):
                lines: asyncio.Queue[str] = asyncio.Queue()
                listening = asyncio.create_task(listen(plan(certificates, gateway.port), 0, lines.put_nowait))
                local_port = int((await lines.get()).rstrip(".").rpartition(" ")[2])
                reader, writer = await asyncio.open_connection("127.0.0.1", local_port)
                if handler is host:
                    assert await asyncio.wait_for(reader.read(), TIMEOUT) == b"that is all"
                writer.write(b"abc")
                writer.write_eof()
                if handler is host:
                    assert await asyncio.wait_for(host.came, TIMEOUT) == b"abc"
                else:
                    assert await asyncio.wait_for(reader.read(), TIMEOUT) == b"cba"
                assert (await gateway.trail.end()).closure.code == 1000
                writer.close()
                listening.cancel()
                await asyncio.wait([listening])

    run(test)
