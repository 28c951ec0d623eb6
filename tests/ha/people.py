"""People who use an account all the time, whatever happens meanwhile: see also `tests.e2e.fault_load`."""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from tests.e2e.fault_server import ENDPOINT
from tests.ha.cluster import NARROW, QUOTA, Cluster
from tests.ha.report import Report
from tests.ha.slowness import Slowness
from tests.transport.harness import LOOPBACK, WebSocket

FAILED = 30.0
"""Seconds after a failure within which a revocation may take longer: the store has to be reached again."""


class Administrators:
    """Make users one after the other, by either control plane; `made` are those that were acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.made: list[str] = []
        self.refused: Counter[str] = Counter()
        self.slowest = 0.0
        """Seconds that one of them has taken."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(90)

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(0.1):
            number += 1
            name = f"made-{number}"
            clients = self._cluster.clients("iam")
            began = time.monotonic()
            try:
                clients[number % len(clients)].create_user(UserName=name)
            except ClientError as refusal:
                self.refused[refusal.response["Error"]["Code"]] += 1
            except BotoCoreError as problem:
                self.refused[type(problem).__name__] += 1
            else:
                self.made.append(name)
                self.slowest = max(self.slowest, time.monotonic() - began)


class Crowd:
    """More people at an endpoint than it has tunnels for. `most` is how many its target has had at once."""

    def __init__(self, cluster: Cluster, openers: int = 3 * QUOTA) -> None:
        self._cluster = cluster
        self._openers = openers
        self.most = self.opened = self._now = 0
        self._stopping = False
        self.refused: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(30)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _begin(self) -> None:
        server = await asyncio.start_server(self._target, LOOPBACK, 0)
        self._port = server.sockets[0].getsockname()[1]
        self._tasks = [asyncio.create_task(self._use()) for _ in range(self._openers)]

    async def _end(self) -> None:
        # Whoever is in the middle of something finishes it: a connection that is left would be a tunnel.
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _target(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._now += 1
        self.most = max(self.most, self._now)
        with suppress(OSError):
            await reader.read()
        self._now -= 1
        writer.close()

    async def _use(self) -> None:
        while not self._stopping:
            try:
                async with asyncio.timeout(40):
                    target = self._cluster.target(self._port, "alice", NARROW)
                    client = await WebSocket.open(self._cluster.gateway_port, target)
                    try:
                        await client.send(b"x")
                        self.opened += 1
                        await asyncio.sleep(random.uniform(0.2, 1.5))
                        await client.close()
                        await client.hung_up()
                    finally:
                        client.vanish()
            except (AssertionError, OSError, EOFError, TimeoutError) as problem:
                self.refused[type(problem).__name__] += 1
                await asyncio.sleep(0.3)


@dataclass(frozen=True, slots=True)
class Revoked:
    """One of bob's tunnels. `slowness` is the machine's just before and after (`tests.ha.slowness`)."""

    seconds: float
    slowness: float
    has_failed: bool
    """Whether something had shortly before."""


class Revocations:
    """Take bob's permission away again and again while he has a tunnel, and see how long that one lasts."""

    def __init__(self, cluster: Cluster, report: Report) -> None:
        self._cluster = cluster
        self._told = report
        self.took: list[Revoked] = []
        self.skipped = 0
        self._slowness = Slowness()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(180)
        self._slowness.close()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._target, LOOPBACK, 0)
        port = server.sockets[0].getsockname()[1]
        while not self._stopping.is_set():
            await asyncio.sleep(1)
            try:
                async with asyncio.timeout(90):
                    await self._revoke_once(port)
            except (AssertionError, OSError, EOFError, TimeoutError):
                self.skipped += 1
            await asyncio.to_thread(self._set, "Allow")

    @staticmethod
    async def _target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read()
        writer.close()

    async def _revoke_once(self, port: int) -> None:
        gateway = random.choice(self._cluster.names("gateway"))
        client = await WebSocket.open(
            self._cluster.port(gateway), self._cluster.target(port, "bob", ENDPOINT)
        )
        try:
            await client.send(b"x")
            before = await asyncio.to_thread(self._slowness.now)
            began = await asyncio.to_thread(self._set, "Deny")
            if began is None:
                return
            await client.hung_up()
        finally:
            client.vanish()
        ended = time.monotonic()
        slowness = (before + await asyncio.to_thread(self._slowness.now)) / 2
        self.took.append(Revoked(ended - began, slowness, ended - self._told.failed_at < FAILED))

    def _set(self, effect: str) -> float | None:
        """Allows or denies bob everything; when that was acknowledged, None when it was not."""
        document = json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": "*", "Resource": "*"}}
        )
        for _ in range(60 if effect == "Allow" else 1):
            client = random.choice(self._cluster.clients("iam"))
            try:
                client.put_user_policy(UserName="bob", PolicyName="all", PolicyDocument=document)
            except (ClientError, BotoCoreError):
                time.sleep(1)
            else:
                return time.monotonic()
        return None
