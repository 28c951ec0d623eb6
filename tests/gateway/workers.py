"""Gateway workers as processes of their own, on a store that the test shares with them."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog
from tests.forks import FORKS
from tests.gateway.account import StoredAccount, write_gateway_key
from tests.transport.harness import LOOPBACK, TIMEOUT, WebSocket, certificate, request

from hatchway.gateway import run_gateway
from hatchway.settings import Address, DataDirectory, Settings

Serves = Callable[[Settings, dict[str, str], Connection], None]


def serve(settings: Settings, environment: dict[str, str], ready: Connection) -> None:
    os.environ.clear()
    os.environ.update(environment)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    run_gateway(settings, lambda address: ready.send(address.port))


class Worker:
    """One worker; `options` are fields of `Settings`, `serve` is what its process does."""

    def __init__(
        self, account: StoredAccount, pem: Path, *, port: int = 0, serve: Serves = serve, **options: Any
    ) -> None:
        settings = Settings(
            data_directory=DataDirectory(pem.parent),
            store_url=account.url,
            gateway=Address(LOOPBACK, port),
            api_certificate=pem,
            api_key=pem,
            gateway_certificate=pem,
            gateway_tls_key=pem,
            **{"drain_seconds": 5.0, **options},
        )
        ours, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=serve, args=(settings, dict(os.environ), theirs), daemon=True)
        self.process.start()
        assert ours.poll(TIMEOUT), "the gateway is not ready"
        self.port: int = ours.recv()

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    async def ended(self) -> int | None:
        await asyncio.to_thread(self.process.join, TIMEOUT)
        return self.process.exitcode


@contextmanager
def worker(account: StoredAccount, directory: Path, **options: Any) -> Iterator[Worker]:
    pem = directory / "server.pem"
    pem.write_bytes(certificate())
    write_gateway_key(directory)
    started = Worker(account, pem, **options)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.join()


async def open_tunnel(
    worker: Worker, account: StoredAccount, target_port: int, user: str = "alice", **changes: Any
) -> WebSocket:
    asked = account.target(user, privateIpAddress=LOOPBACK, remotePort=target_port, **changes)
    return await WebSocket.open(worker.port, asked)


async def answer_to(worker: Worker, account: StoredAccount, target_port: int) -> bytes:
    """The first line of the answer to a request for a tunnel."""
    client = await WebSocket.connect(worker.port)
    client.writer.write(request(account.target("alice", privateIpAddress=LOOPBACK, remotePort=target_port)))
    line = await client.reader.readline()
    client.vanish()
    return line.rstrip()


def events(account: StoredAccount, name: str) -> list[dict[str, Any]]:
    with account.store.read() as tx:
        return [json.loads(record.body) for record in tx.audit_records.find(event_name=name)]


async def echoes(client: WebSocket, data: bytes = b"hello") -> bool:
    await client.send(data)
    return await client.receive(len(data)) == data
