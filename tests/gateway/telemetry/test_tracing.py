"""What a collector is told of tunnels by a whole worker: with OTLP, as it goes over the wire."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.gateway.account import ELSEWHERE, ENDPOINT, USER_ARN, StoredAccount, allow, stored_account
from tests.gateway.harness import echo, target
from tests.gateway.workers import Worker, echoes, events, open_tunnel, worker
from tests.tracing.collector import CLIENT, INTERNAL, SERVER, Collector, Span, collector
from tests.transport.harness import LOOPBACK, WebSocket, request, run

THEIR_TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{THEIR_TRACE}-b7ad6b7169203331-01"
STEPS = ["OpenTunnel", "handshake", "decide", "record", "connect"]


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, to which workers that are started now send."""
    with collector() as made:
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        yield made


async def wait_for(told: Collector, name: str, count: int = 1) -> list[Span]:
    return await asyncio.to_thread(told.wait_for, name, count)


async def answer(gateway: Worker, asked: str, **headers: str) -> tuple[WebSocket, bytes]:
    """The head of the answer to a request that carries these headers besides."""
    client = await WebSocket.connect(gateway.port)
    client.writer.write(request(asked, **headers))
    return client, await client.reader.readuntil(b"\r\n\r\n")


def forged(asked: str) -> str:
    """The same request with another signature."""
    return asked[:-1] + ("0" if asked[-1] != "0" else "1")


def test_a_tunnel_is_told_of_when_it_has_opened_and_again_when_it_ends(
    account: StoredAccount, tmp_path: Path, told: Collector
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                (opening,) = await wait_for(told, "OpenTunnel")
                # It is still open: all that is known now is here, and no more.
                steps = told.spans
                assert [span.name for span in steps] == STEPS
                assert {span.trace_id for span in steps} == {opening.trace_id}
                assert {span.parent_id for span in steps[1:]} == {opening.span_id}
                assert [span.kind for span in steps] == [SERVER, INTERNAL, INTERNAL, INTERNAL, CLIENT]
                assert steps[1].began == opening.began and steps[-1].ended == opening.ended
                for before, after in pairwise(steps[1:]):
                    assert before.ended == after.began
                assert not any(span.failed for span in steps)

                request_id = client.answer.partition(b"x-amzn-requestid: ")[2].split(b"\r\n")[0].decode()
                with account.store.read() as tx:
                    (tunnel,) = tx.tunnels.find()
                assert opening.attributes == {
                    "aws.request_id": request_id,
                    "client.address": LOOPBACK,
                    "client.port": client.writer.get_extra_info("sockname")[1],
                    "hatchway.endpoint.id": ENDPOINT,
                    "hatchway.gateway.id": tunnel.gateway_id,
                    "hatchway.instance.id": tunnel.instance_id,
                    "hatchway.principal.arn": USER_ARN,
                    "hatchway.target.address": LOOPBACK,
                    "hatchway.target.port": port,
                    "hatchway.tunnel.id": tunnel.id,
                    "http.request.method": "GET",
                    "http.response.status_code": 101,
                    "network.transport": "tcp",
                    "url.path": "/openTunnel",
                    "url.scheme": "wss",
                    "user_agent.original": "",
                }
                assert steps[-1].attributes == {
                    "network.transport": "tcp",
                    "server.address": LOOPBACK,
                    "server.port": port,
                }
                assert opening.resource["service.name"] == "hatchway-gateway"

                await client.close()
                await client.rest()
                (whole,) = await wait_for(told, "Tunnel")
                assert (whole.trace_id, whole.parent_id) == (opening.trace_id, opening.span_id)
                assert whole.began == opening.ended
                assert whole.attributes == {
                    "aws.request_id": request_id,
                    "hatchway.bytes.in": 5,
                    "hatchway.bytes.out": 5,
                    "hatchway.close.code": 1000,
                    "hatchway.close.reason": "finished",
                    "hatchway.endpoint.id": ENDPOINT,
                    "hatchway.instance.id": tunnel.instance_id,
                    "hatchway.principal.arn": USER_ARN,
                    "hatchway.tunnel.id": tunnel.id,
                }
                assert not whole.failed

    run(test)


def test_a_refusal_is_a_trace_and_no_failure_of_the_gateway(
    account: StoredAccount, tmp_path: Path, told: Collector
) -> None:
    account.user("bob", ELSEWHERE)

    async def test() -> None:
        with worker(account, tmp_path) as gateway:
            _, head = await answer(gateway, account.target("bob"))
            assert head.startswith(b"HTTP/1.1 403 ")
            (opening,) = await wait_for(told, "OpenTunnel")
            assert [span.name for span in told.spans] == STEPS[:-1]
            assert opening.attributes["error.type"] == "AccessDeniedException"
            assert opening.attributes["http.response.status_code"] == 403
            assert opening.attributes["hatchway.principal.arn"].endswith("user/bob")
            assert opening.attributes["hatchway.endpoint.id"] == ENDPOINT
            assert not opening.failed

    run(test)


def test_a_target_that_does_not_answer_is_a_failure_of_the_step_and_of_the_whole(
    account: StoredAccount, tmp_path: Path, told: Collector
) -> None:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        silent: int = sock.getsockname()[1]

        async def test() -> None:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, silent)
                await client.rest()
                (opening,) = await wait_for(told, "OpenTunnel")
                (connecting,) = told.named("connect")
                assert connecting.failed
                assert connecting.attributes["error.type"] == "ConnectionRefusedError"
                assert opening.failed
                assert (
                    opening.attributes["error.type"]
                    == opening.attributes["hatchway.close.reason"]
                    == "no_target"
                )
                assert opening.attributes["hatchway.close.code"] == 1011
                assert not told.named("Tunnel")

        run(test)


def test_a_caller_is_linked_to_and_chooses_nothing(
    account: StoredAccount, tmp_path: Path, told: Collector
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                asked = account.target("alice", privateIpAddress=LOOPBACK, remotePort=port)
                # The second says that it is not sampled; the third is of nobody whom we know.
                await answer(gateway, asked, traceparent=TRACEPARENT, tracestate="congo=t61rcWkgMzE")
                await answer(gateway, asked, traceparent=TRACEPARENT[:-1] + "0")
                await answer(gateway, forged(asked), traceparent=TRACEPARENT)
                await answer(gateway, asked, traceparent="00-" + 5000 * "f")
                spans = await wait_for(told, "OpenTunnel", 4)
                assert [span.links for span in spans] == [(THEIR_TRACE,), (THEIR_TRACE,), (), ()]
                assert len({span.trace_id for span in spans} | {THEIR_TRACE}) == 5
                assert not any(span.parent_id for span in spans)
                assert spans[2].attributes["error.type"] == "SignatureDoesNotMatch"
                assert "hatchway.principal.arn" not in spans[2].attributes

    run(test)


def test_a_user_agent_that_is_no_text_costs_neither_span_nor_record(
    account: StoredAccount, tmp_path: Path, told: Collector
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                asked = account.target("alice", privateIpAddress=LOOPBACK, remotePort=port)
                client = await WebSocket.connect(gateway.port)
                client.writer.write(request(asked, User_Agent="@").replace(b"@", b"\xff\xed\xa0\x80cli"))
                head = await client.reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 101 ")
                assert await echoes(client)
                (opening,) = await wait_for(told, "OpenTunnel")
                (event,) = events(account, "OpenTunnel")
                assert opening.attributes["user_agent.original"] == event["userAgent"] == "????cli"

    run(test)


def test_no_span_holds_what_would_let_somebody_in(
    account: StoredAccount, tmp_path: Path, told: Collector
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                asked = account.target("alice", privateIpAddress=LOOPBACK, remotePort=port)
                client = await WebSocket.open(gateway.port, asked)
                assert await echoes(client, b"what goes through is nobody's business")
                _, refusal = await answer(gateway, forged(asked))
                assert refusal.startswith(b"HTTP/1.1 403 ")
                await client.close()
                await wait_for(told, "Tunnel")
                await wait_for(told, "OpenTunnel", 2)
                sent = b"".join(told.bodies)
                key = account.keys["alice"]
                signature = asked.partition("X-Amz-Signature=")[2]
                assert len(signature) == 64
                secrets = [signature, "X-Amz-", key.secret, key.key.id, "nobody's business"]
                assert [secret for secret in secrets if secret.encode() in sent] == []
                assert USER_ARN.encode() in sent

    run(test)


def test_the_last_spans_go_out_before_the_worker_ends(
    account: StoredAccount, tmp_path: Path, told: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing would go out of itself within this test.
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path, drain_seconds=0.1) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                gateway.signal(signal.SIGTERM)
                await client.rest()
                assert await gateway.ended() == 0
                assert [span.name for span in told.spans] == [*STEPS, "Tunnel"]
                assert told.named("Tunnel")[0].attributes["hatchway.close.reason"] == "gateway_stopping"

    run(test)


@pytest.mark.parametrize("trouble", ["refuses connections", "answers 503", "does not answer"])
def test_a_collector_in_trouble_costs_no_tunnel(
    account: StoredAccount, tmp_path: Path, told: Collector, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble == "refuses connections":
        with socket.socket() as sock:
            sock.bind((LOOPBACK, 0))
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{LOOPBACK}:{sock.getsockname()[1]}")
    told.status = 503 if trouble == "answers 503" else 200
    if trouble == "does not answer":
        told.may_answer.clear()
    # So small that it is full at once.
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                for _ in range(10):
                    client = await open_tunnel(gateway, account, port)
                    assert await echoes(client)
                    await client.close()
                    await client.rest()
                gateway.signal(signal.SIGTERM)
                assert await gateway.ended() == 0

    run(test)


def test_a_sampler_that_leaves_all_out_leaves_all_out(
    account: StoredAccount, tmp_path: Path, told: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client, _ = await answer(
                    gateway,
                    account.target("alice", privateIpAddress=LOOPBACK, remotePort=port),
                    traceparent=TRACEPARENT,
                )
                assert await echoes(client)
                await client.close()
                gateway.signal(signal.SIGTERM)
                assert await gateway.ended() == 0
                assert not told.bodies

    run(test)
