"""Control planes, gateways, PgBouncer and two PostgreSQL servers, of which one is killed every few seconds.

    python -m tests.ha [--seconds N] [--seed N]

The version before runs beside this one at first, where there is a history of git, and is replaced one process
after the other. Meanwhile people open tunnels, use them and keep some, administrators change things, and
permissions are taken away. Then all is looked at: exits with 1 when something does not hold.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
from botocore.exceptions import BotoCoreError, ClientError
from tests.e2e.fault_load import Load
from tests.e2e.fault_server import ENDPOINT
from tests.e2e.waiting import wait_until
from tests.ha.cluster import NARROW, QUOTA, Cluster, program_before
from tests.ha.database import pair
from tests.transport.harness import LOOPBACK, WebSocket

from hatchway.domain.tunnel import GRACE, LEASE
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROMISED = 1.0
"""Seconds within which a permission that was taken away ends a tunnel, where nothing has failed."""
LOOKED = 6.0
"""Seconds within which it does where a gateway was not told of it, and looks by itself."""
FAILED = 30.0
"""Seconds after a failure within which that may take longer: the store has to be reached again."""
_BUSY_LOAD = 4.0
_BURIED = (LEASE + GRACE).total_seconds() + 30


class Told:
    """What happened, as lines with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.problems: list[str] = []
        self.failed_at = 0.0

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:7.1f}  {what}", flush=True)

    def failing(self, what: str) -> None:
        self.failed_at = time.monotonic()
        self.say(what)

    def check(self, holds: bool, what: str) -> None:
        self.say(f"{'ok  ' if holds else 'FAIL'} {what}")
        if not holds:
            self.problems.append(what)


class Administrators:
    """Make users one after the other, by either control plane; `made` are those that were acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.made: list[str] = []
        self.refused: Counter[str] = Counter()
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
            try:
                clients[number % len(clients)].create_user(UserName=name)
            except ClientError as refusal:
                self.refused[refusal.response["Error"]["Code"]] += 1
            except BotoCoreError as problem:
                self.refused[type(problem).__name__] += 1
            else:
                self.made.append(name)


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


class Revocations:
    """Take bob's permission away again and again while he has a tunnel, and see how long that one lasts."""

    def __init__(self, cluster: Cluster, told: Told) -> None:
        self._cluster = cluster
        self._told = told
        self.took: list[tuple[float, bool]] = []
        """Seconds, and whether something had failed shortly before."""
        self.skipped = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(180)

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
            began = await asyncio.to_thread(self._set, "Deny")
            if began is None:
                return
            await client.hung_up()
        finally:
            client.vanish()
        ended = time.monotonic()
        self.took.append((ended - began, ended - self._told.failed_at < FAILED))

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


def upgrade(cluster: Cluster, told: Told, source: Path) -> None:
    """From the version before to this one, one process after the other, under load."""
    database = cluster.database
    cluster.add_control("control-1", database.plain_url, source)
    cluster.add_gateway("gateway-1", database.plain_url, source)
    told.say("the version before serves")
    cluster.add_control("control-2", database.url)
    told.say("a control plane of this version has migrated")
    cluster.add_gateway("gateway-2", database.url)
    time.sleep(5)


def harm(cluster: Cluster, told: Told, chance: random.Random, load: Load) -> "Iterator[Callable[[], None]]":
    """All that may happen, again and again, in another order each time."""
    while True:
        control, other = chance.sample(cluster.names("control"), 2)
        gateway = chance.choice(cluster.names("gateway"))
        due: list[Callable[[], None]] = [
            partial(_kill, cluster, told, control),
            partial(_kill, cluster, told, other),
            partial(_kill, cluster, told, gateway),
            partial(_suspend, cluster, told, control, chance.uniform(1, 15)),
            partial(_restart, cluster, told, other),
            partial(_kill_pooler, cluster, told),
            partial(_fail_over, cluster, told, load),
            partial(_fail_over, cluster, told, load),
        ]
        chance.shuffle(due)
        yield from due


def _kill(cluster: Cluster, told: Told, name: str) -> None:
    told.failing(f"{name} is killed")
    cluster.processes[name].signal(signal.SIGKILL)


def _suspend(cluster: Cluster, told: Told, name: str, seconds: float) -> None:
    told.failing(f"{name} is suspended for {seconds:.1f} s")
    process = cluster.processes[name]
    process.signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.signal(signal.SIGCONT)


def _restart(cluster: Cluster, told: Told, name: str) -> None:
    told.failing(f"{name} is told to stop")
    cluster.processes[name].signal(signal.SIGTERM)


def _kill_pooler(cluster: Cluster, told: Told) -> None:
    told.failing("PgBouncer is killed")
    cluster.database.kill_pooler()


def _fail_over(cluster: Cluster, told: Told, load: Load) -> None:
    """No gateway is harmed meanwhile: every tunnel that lasts has to outlive it."""
    wait_until(lambda: all(map(cluster.accepts, cluster.names("gateway"))), 90, cluster.log)
    steady = load.keep_steady()
    before = [each.rounds for each in steady]
    told.failing("the primary is killed")
    began = time.monotonic()
    cluster.database.fail_over()
    opened = load.echoed
    wait_until(lambda: load.echoed > opened, 60, lambda: f"{load.refusals}\n{cluster.log()}")
    told.failing(
        f"tunnels are opened again, and there is another standby, after {time.monotonic() - began:.1f} s"
    )
    alive = [not each.over and each.rounds > rounds for each, rounds in zip(steady, before, strict=True)]
    told.check(all(alive), f"{sum(alive)} of {len(alive)} tunnels that last outlived it")
    for each in steady:
        if not each.over:
            load.close(each)


def look(cluster: Cluster, told: Told, load: Load, administrators: Administrators) -> None:
    """Whether all that was acknowledged is there, and in the trail once."""
    with ExitStack() as stack:
        store = Store.open(cluster.database.url)
        stack.callback(store.close)

        def rows() -> int:
            with store.read() as tx:
                return tx.tunnels.count()

        with suppress(AssertionError):
            wait_until(lambda: not rows(), _BURIED)
        told.check(rows() == 0, f"no tunnel is open in the store ({rows()})")
        with store.read() as tx:
            users = {user.name for user in tx.users.find()}
            events: list[dict[str, Any]] = [json.loads(record.body) for record in tx.audit_records.find()]
    lost = set(administrators.made) - users
    told.check(
        not lost,
        f"each of {len(administrators.made)} acknowledged writes is there (lost: {sorted(lost)[:5]})",
    )
    entered = Counter(
        event["requestParameters"]["userName"]
        for event in events
        if event["eventName"] == "CreateUser" and "errorCode" not in event and event["requestParameters"]
    )
    wrong = {name: entered[name] for name in users if name.startswith("made-") and entered[name] != 1}
    told.check(not wrong, f"each user that was made is in the trail once ({dict(list(wrong.items())[:5])})")
    opened = {
        event["requestID"]: event["additionalEventData"]["tunnelId"]
        for event in events
        if event["eventName"] == "OpenTunnel" and "errorCode" not in event
    }
    carried = load.carried
    missing = carried.keys() - opened.keys()
    told.check(
        not missing,
        f"each of {len(carried)} openings that carried a byte is in the trail ({len(missing)} lack)",
    )
    tunnels = Counter(opened.values())
    told.check(max(tunnels.values(), default=1) == 1, "each opening is in the trail once")
    ends = Counter(
        event["additionalEventData"]["tunnelId"] for event in events if event["eventName"] == "CloseTunnel"
    )
    differing = {
        tunnel for tunnel in tunnels.keys() | ends.keys() if ends[tunnel] != 1 or tunnels[tunnel] != 1
    }
    told.check(not differing, f"each of {len(tunnels)} openings has its one end ({sorted(differing)[:5]})")
    _look_at_files(cluster, told, {event["eventID"] for event in events})


def _look_at_revocations(told: Told, revocations: Revocations) -> None:
    quiet = sorted(seconds for seconds, failed in revocations.took if not failed)
    every = [seconds for seconds, _ in revocations.took]
    if quiet:
        median = quiet[len(quiet) // 2]
        # A machine that others keep busy takes its own time.
        is_busy = os.getloadavg()[1] > _BUSY_LOAD * (os.cpu_count() or 1)
        told.check(
            is_busy or median <= PROMISED,
            f"revocations while all is well took {median:.2f} s ({len(quiet)}, median{', busy' * is_busy})",
        )
        told.check(quiet[-1] <= LOOKED, f"and {quiet[-1]:.2f} s at most")
    longest = max(every, default=0)
    told.check(longest <= FAILED, f"revocations after failures took {longest:.2f} s at most ({len(every)})")


def _look_at_files(cluster: Cluster, told: Told, ids: set[str]) -> None:
    files = {path.parent.name: path for path in cluster.data.parent.glob("*/audit.jsonl")}

    def lines() -> dict[str, list[str]]:
        return {
            name: [json.loads(line)["eventID"] for line in path.read_text().splitlines()]
            for name, path in files.items()
        }

    with suppress(AssertionError):
        wait_until(lambda: ids <= {each for some in lines().values() for each in some}, 60)
    found = lines()
    written = Counter(each for some in found.values() for each in some)
    told.check(
        ids <= written.keys(), f"each of {len(ids)} events is in a file ({len(ids - written.keys())} lack)"
    )
    # What is recorded after the look at the store is in files alone.
    twice = {name: len(some) - len(set(some)) for name, some in found.items()}
    told.check(not any(twice.values()), f"none is twice in one file ({twice})")
    told.say(f"     {sum(count > 1 for count in written.values())} are in two files, at joins")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.ha", description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=600.0, help="how long things are killed")
    arguments.add_argument("--every", type=float, default=6.0, help="seconds between two of them")
    arguments.add_argument("--seed", type=int, default=None)
    given = arguments.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(1 << 32)
    urllib3.disable_warnings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    told, chance = Told(), random.Random(seed)
    told.say(f"seed {seed}")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hatchway-ha-")))
        directory.chmod(0o755)
        (directory / "database").mkdir()
        database = stack.enter_context(pair(directory / "database"))
        database.start_pooler()
        before = stack.enter_context(program_before())
        source = None if before is None else before[1]
        cluster = Cluster(directory, database, source)
        stack.callback(cluster.stop)
        if before is None:
            told.say("no history of git: this version alone is tried")
            cluster.add_control("control-2", database.url)
            cluster.add_gateway("gateway-2", database.url)
        else:
            told.say(f"the version before is {before[0]}")
            upgrade(cluster, told, before[1])
        # The harness's own type is of one server; what it asks of it is here too.
        load = Load(cluster, seed)  # type: ignore[arg-type]
        load.start()
        loading = stack.enter_context(ExitStack())
        loading.callback(load.stop)
        administrators, crowd, revocations = (
            Administrators(cluster),
            Crowd(cluster),
            Revocations(cluster, told),
        )
        each = (administrators, crowd, revocations)
        for one in each:
            one.start()
        load.wait_for_more(20)
        if before is not None:
            told.failing("control-1 and gateway-1 become this version's")
            cluster.add_control("control-1", database.url)
            cluster.add_gateway("gateway-1", database.url)
        else:
            cluster.add_control("control-1", database.url)
            cluster.add_gateway("gateway-1", database.url)
        cluster.add_gateway("gateway-3", database.pooled_url)
        load.wait_for_more(20)
        until = time.monotonic() + given.seconds
        for happens in harm(cluster, told, chance, load):
            happens()
            time.sleep(given.every)
            if time.monotonic() > until:
                break
        told.say("nothing is killed any more")
        load.wait_for_more(20)
        for one in each:
            one.stop()
        loading.close()
        told.say(
            f"     {load.echoed} tunnels were used, {len(administrators.made)} users made,"
            f" {crowd.opened} tunnels opened through the narrow endpoint; clients were told"
            f" {dict(load.refusals.most_common(6))},"
            f" administrators {dict(administrators.refused)}"
        )
        told.check(
            crowd.most <= QUOTA, f"its quota of {QUOTA} was never exceeded (most at once: {crowd.most})"
        )
        _look_at_revocations(told, revocations)
        look(cluster, told, load, administrators)
        traces = [name for name, process in cluster.processes.items() if "Traceback" in process.log()]
        told.check(not traces, f"no process has told of a fault of its own ({traces})")
        if told.problems:
            kept = Path(tempfile.mkdtemp(prefix="hatchway-ha-logs-"))
            for log in (*directory.glob("*.log"), *(directory / "database").glob("log-*")):
                (kept / log.name).write_bytes(log.read_bytes())
            told.say(f"the logs are in {kept}; the seed was {seed}")
    return 1 if told.problems else 0


if __name__ == "__main__":
    sys.exit(main())
