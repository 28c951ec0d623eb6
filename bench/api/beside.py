"""One control plane process beside moto's server: calls a second, and CPU of the server for each.

Both servers run on one core and the client on the others, by turns. Hatchway's calls come by TLS, are
authenticated, authorized and recorded in the store; moto's come by plain HTTP and are none of these.
"""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api.account import ACCOUNT, REGION, Key, Size, fill
from bench.api.calls import Call, filters
from bench.gateway import machine

from hatchway.keys.key_files import read_master_keys
from hatchway.keys.vault import Vault
from hatchway.settings import DataDirectory
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HATCHWAY = (sys.executable, "-P", "-m", "hatchway")
CLIENTS = 8
"""Connections, each with one call at a time."""
_USERS = 200
LEAST = {"CreateUser, DeleteUser": 0.75}
"""Times as many calls a second as moto's, at least; of others 1. Each of Hatchway's writes is on the disk
before its answer; moto's enter a name into a dictionary in memory, and take it out again."""
MOST_CPU = 1.2
"""Times moto's CPU of a call, at most."""


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    key: Key
    connect: Callable[[], http.client.HTTPConnection]
    instance: str
    """The id of one that it has."""


@dataclass(frozen=True)
class Rate:
    server: str
    per_second: float
    cpu: float
    """Seconds of the server's, a call."""


def calls(server: Server, client: int = 0) -> dict[str, list[Call]]:
    """What both have, for the client of this number. Writes undo themselves: one call after the other."""
    name = f"made-{os.getpid()}-{client}"
    return {
        "GetCallerIdentity": [Call("sts", "GetCallerIdentity", {})],
        "DescribeInstances, a page of 5": [Call("ec2", "DescribeInstances", {"MaxResults": "5"})],
        "DescribeInstances by id": [Call("ec2", "DescribeInstances", {"InstanceId.1": server.instance})],
        "DescribeInstances by a tag": [Call("ec2", "DescribeInstances", filters(("tag:Name", "host-77")))],
        "ListUsers, a page of 5": [Call("iam", "ListUsers", {"MaxItems": "5"})],
        "GetUser": [Call("iam", "GetUser", {"UserName": "user-00042"})],
        "CreateTags": [
            Call(
                "ec2",
                "CreateTags",
                {"ResourceId.1": server.instance, "Tag.1.Key": "changed", "Tag.1.Value": "yes"},
            )
        ],
        "CreateUser, DeleteUser": [
            Call("iam", "CreateUser", {"UserName": name}),
            Call("iam", "DeleteUser", {"UserName": name}),
        ],
    }


def measure(instances: int, *, seconds: float, rounds: int) -> dict[str, list[Rate]]:
    """The best round of each server, by call."""
    found: dict[str, list[Rate]] = {}
    core, others = machine.cores()
    with hatchway(instances) as ours, moto(instances) as theirs:
        for server in (ours, theirs):
            machine.pin(server.pid, {core})
        machine.pin(os.getpid(), others)
        for name in calls(ours):
            best: dict[str, Rate] = {}
            for _ in range(rounds):
                for server in (ours, theirs):
                    rate = measured(server, name, seconds)
                    if server.name not in best or rate.per_second > best[server.name].per_second:
                        best[server.name] = rate
            found[name] = list(best.values())
    return found


def measured(server: Server, name: str, seconds: float, clients: int = CLIENTS) -> Rate:
    """Of one kind of call, by so many at once."""
    counts, problems = [0] * clients, list[BaseException]()
    until = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = server.connect()
        sequence = calls(server, number)[name]
        try:
            while time.perf_counter() < until:
                for call in sequence:
                    send(connection, call, server.key)
                    counts[number] += 1
        except BaseException as problem:
            problems.append(problem)
        finally:
            connection.close()

    pids = machine.tree(server.pid)
    before, began = machine.cpu_seconds(pids), time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if problems:
        raise problems[0]
    return Rate(server.name, sum(counts) / took, (machine.cpu_seconds(pids) - before) / sum(counts))


def send(connection: http.client.HTTPConnection, call: Call, key: Key) -> bytes:
    """The answer's body.

    Raises:
        RuntimeError: it is a refusal.
    """
    request = call.request(key, f"{connection.host}:{connection.port}")
    connection.request("POST", "/", request.body, dict(request.headers))
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{call.service} {call.action}: {body.decode()[:500]}")
    return body


@contextmanager
def hatchway(instances: int, store_url: str | None = None, *options: str) -> Iterator[Server]:
    """A control plane of an account with so many instances, on SQLite unless another store is told."""
    with _directory() as path:
        directory = DataDirectory(path)
        where = () if store_url is None else ("--store-url", store_url)
        init = ("init", "--data-dir", str(path), "--account", ACCOUNT, "--region", REGION, *where)
        subprocess.run(
            [*HATCHWAY, *init, "--gateway-dns-name", "gateway.bench"], check=True, stdout=subprocess.DEVNULL
        )
        store = Store.open(store_url or directory.store_url)
        vault = Vault(*read_master_keys(directory.master_key, {}).all)
        key = fill(store, vault, Size(instances, _USERS, 1), new=False)
        with store.read() as tx:
            instance = tx.instances.find(limit=1)[0].id
        store.close()
        context = ssl.create_default_context(cafile=str(directory.ca_certificate))
        command = [*HATCHWAY, "control", "--data-dir", str(path), "--api", "127.0.0.1:0"]
        command += ["--api-reads", "0", "--api-writes", "0", "--log-format", "json", *where, *options]
        with _running(command) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            yield Server(
                "hatchway",
                process.pid,
                key,
                lambda: http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30),
                instance,
            )


@contextmanager
def moto(instances: int) -> Iterator[Server]:
    """moto's server with so many instances, in its memory."""
    port = _free_port()
    program = str(Path(sys.executable).parent / "moto_server")
    key = Key("AKIAAAAAAAAAAAAAAAAA", "secret")
    with _running([program, "-H", "127.0.0.1", "-p", str(port)]) as process:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for _ in range(200):
            with suppress(ConnectionRefusedError):
                connection.connect()
                break
            time.sleep(0.1)
        image = {"ImageId": "ami-12c6146b", "InstanceType": "t2.micro"}
        made = 0
        instance = ""
        while made < instances:
            tags = {
                "TagSpecification.1.ResourceType": "instance",
                "TagSpecification.1.Tag.1.Key": "Name",
                "TagSpecification.1.Tag.1.Value": f"host-{made}" if made < 100 else "many",
            }
            # One by one while each has a name of its own.
            count = 1 if made < 100 else min(500, instances - made)
            counts = {"MinCount": str(count), "MaxCount": str(count)}
            body = send(connection, Call("ec2", "RunInstances", {**image, **counts, **tags}), key)
            instance = body.decode().partition("<instanceId>")[2].partition("<")[0]
            made += count
        for number in range(_USERS):
            send(connection, Call("iam", "CreateUser", {"UserName": f"user-{number:05d}"}), key)
        connection.close()
        yield Server(
            "moto",
            process.pid,
            key,
            lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=30),
            instance,
        )


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _directory() -> Iterator[Path]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="hatchway-bench-") as directory:
        yield Path(directory)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
