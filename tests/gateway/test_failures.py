"""Those who fail to authenticate again and again are not heard for a while; open tunnels go on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gateway.account import StoredAccount, allow, stored_account
from tests.gateway.harness import Says, echo, event_source, running_gateway, target
from tests.gateway.workers import events, open_tunnel, worker
from tests.transport.harness import WebSocket, request, run

from hatchway.gateway.admission.decision import Call, Refused
from hatchway.gateway.admission.refusal import unauthenticated
from hatchway.transport.listening.failures import MOST


async def answer(port: int) -> bytes:
    client = await WebSocket.connect(port)
    client.writer.write(request())
    whole = await client.reader.read()
    client.vanish()
    return whole


def test_after_too_many_failures_nothing_is_examined_and_open_tunnels_go_on() -> None:
    refused = Refused(
        refusal=unauthenticated("SignatureDoesNotMatch", "no"),
        call=Call(source=event_source(), request=None, resources=()),
        authenticated=False,
    )

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            gateway.says.refused = refused
            for _ in range(MOST):
                assert (await answer(gateway.port)).startswith(b"HTTP/1.1 403 ")
            examined = len(gateway.says.heads)
            told = await answer(gateway.port)
            assert told.startswith(b"HTTP/1.1 429 ")
            assert json.loads(told.partition(b"\r\n\r\n")[2])["ErrorCode"] == "ThrottlingException"
            assert len(gateway.says.heads) == examined
            assert len(gateway.trail.refusals) == MOST
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"

    run(test)


def test_denied_requests_are_no_failures_to_authenticate() -> None:
    refused = Refused(
        refusal=unauthenticated("AccessDeniedException", "no"),
        call=Call(source=event_source(), request=None, resources=()),
    )

    async def test() -> None:
        async with running_gateway(Says(9, refused=refused)) as gateway:
            for _ in range(MOST + 5):
                assert (await answer(gateway.port)).startswith(b"HTTP/1.1 403 ")

    run(test)


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


def test_bad_signatures_are_throttled_and_recorded_so_far(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                forged = request(account.target("alice")[:-1] + "x")
                statuses = []
                for _ in range(MOST + 5):
                    guess = await WebSocket.connect(gateway.port)
                    guess.writer.write(forged)
                    statuses.append((await guess.reader.readline())[9:12])
                    guess.vanish()
                assert statuses == [b"403"] * MOST + [b"429"] * 5
                refusals = [event for event in events(account, "OpenTunnel") if event.get("errorCode")]
                assert len(refusals) == MOST
                await client.send(b"hello")
                assert await client.receive(5) == b"hello"

    run(test)
