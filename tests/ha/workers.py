"""Two control planes of two processes each behind HAProxy, which are killed and restarted under load.

    python -m tests.ha.workers [--seconds N]

boto3 calls through HAProxy with its standard retries and as it comes. Processes of the control planes are
killed one after the other, then one control plane as a whole, then both are restarted in turns. Exits with 1
when a call was acknowledged whose effect is not there, or when one failed for whoever made it.
"""

import argparse
import csv
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.e2e.fault_server import FLEET, REGION
from tests.e2e.processes import lives
from tests.e2e.waiting import free_port, wait_until
from tests.ha.cluster import Cluster
from tests.ha.looking import look
from tests.ha.report import Report
from tests.store.postgresql_server import postgresql_server, server_programs
from tests.transport.harness import LOOPBACK

CALLERS: Final = 6
CONTROLS: Final = ("control-1", "control-2")
_EVERY = 2.0
"""Seconds between two that are killed."""


class Callers:
    """Each makes users and asks for them, one call after the other."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self._clients = [
            boto3.client(
                "iam",
                endpoint_url=f"https://{LOOPBACK}:{port}",
                verify=False,
                region_name=REGION,
                aws_access_key_id=cluster.root[0],
                aws_secret_access_key=cluster.root[1],
                config=Config(retries={"mode": "standard"}, connect_timeout=5, read_timeout=30),
            )
            for _ in range(CALLERS)
        ]
        self.made: list[str] = []
        self.calls = self.retried = 0
        self.slowest = 0.0
        self.failed: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(CALLERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(120)

    def _run(self, number: int) -> None:
        client, count = self._clients[number], 0
        while not self._stopping.wait(0.02):
            count += 1
            name = f"made-{number}-{count}"
            if self._call(client.create_user, name):
                self.made.append(name)
                self._call(client.get_user, name)

    def _call(self, call: Any, name: str) -> bool:
        began = time.monotonic()
        try:
            answer = call(UserName=name)
        except ClientError as refusal:
            retries = refusal.response["ResponseMetadata"].get("RetryAttempts", 0)
            if refusal.response["Error"]["Code"] != "EntityAlreadyExists" or not retries:
                self.failed[refusal.response["Error"]["Code"]] += 1
                return False
            # The first attempt made it, and its answer was lost.
        except BotoCoreError as problem:
            self.failed[type(problem).__name__] += 1
            return False
        else:
            retries = answer["ResponseMetadata"]["RetryAttempts"]
        self.calls += 1
        self.retried += bool(retries)
        self.slowest = max(self.slowest, time.monotonic() - began)
        return True


@contextmanager
def haproxy(directory: Path, ports: list[int]) -> Iterator[int]:
    """HAProxy before these; its port."""
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    port = free_port()
    servers = "".join(f"    server s{each} {LOOPBACK}:{each}\n" for each in ports)
    (directory / "haproxy.cfg").write_text(
        # Where others compute, a check takes longer than its interval, which would be its time-out.
        f"global\n    stats socket {directory}/haproxy.sock mode 600\n"
        "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n"
        "    timeout check 10s\n"
        f"    option redispatch 1\nlisten api\n    bind {LOOPBACK}:{port}\n    balance roundrobin\n"
        "    option httpchk GET /readyz\n    default-server check check-ssl verify none"
        " inter 2s downinter 500\n" + servers
    )
    process = subprocess.Popen(
        [program, "-q", "-f", str(directory / "haproxy.cfg")], stderr=subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(30)


def takes(directory: Path, port: int) -> bool:
    """Whether HAProxy gives connections to the control plane at that port."""
    with closing(socket.socket(socket.AF_UNIX)) as asked:
        asked.connect(str(directory / "haproxy.sock"))
        asked.sendall(b"show stat\n")
        report = asked.makefile().read()
    rows = csv.DictReader(report.removeprefix("# ").splitlines())
    return any(row["svname"] == f"s{port}" and row["status"].startswith("UP") for row in rows)


def workers(cluster: Cluster, name: str) -> list[int]:
    """The processes of a control plane that answer calls."""
    pid = cluster.processes[name].pid
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill_one(cluster: Cluster, report: Report, chance: random.Random) -> None:
    name = chance.choice(CONTROLS)
    before = workers(cluster, name)
    if len(before) < 2:
        return
    pid = chance.choice(before)
    report.say(f"a process of {name} is killed")
    with_others = len(before)
    _signal(pid)
    wait_until(lambda: not lives(pid), 10)
    wait_until(lambda: len(workers(cluster, name)) >= with_others, 60, cluster.log)


def _signal(pid: int) -> None:
    subprocess.run(["kill", "-KILL", str(pid)], check=False)


def main() -> int:
    arguments = argparse.ArgumentParser(
        prog="python -m tests.ha.workers", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--seconds", type=float, default=30.0, help="how long processes are killed")
    given = arguments.parse_args()
    urllib3.disable_warnings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    programs = server_programs()
    if programs is None:
        raise SystemExit("PostgreSQL's server is missing: install Debian's package postgresql")
    report, chance = Report(), random.Random(1)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hatchway-ha-")))
        directory.chmod(0o755)
        url = stack.enter_context(postgresql_server(programs)).new_database()
        cluster = Cluster(directory, url, fleet=FLEET)
        stack.callback(cluster.stop)
        for name in CONTROLS:
            cluster.add_control(
                name, url, None, "--api-workers", "2", "--api-reads", "0", "--api-writes", "0"
            )
        ports = [cluster.port(name) for name in CONTROLS]
        port = stack.enter_context(haproxy(directory, ports))
        wait_until(lambda: _answers(cluster, port), 30)
        callers = Callers(cluster, port)
        callers.start()
        report.say("two control planes of two processes each answer behind HAProxy")
        _phase(report, callers, "with nothing killed", lambda: time.sleep(5))

        def kill_some() -> None:
            until = time.monotonic() + given.seconds
            while time.monotonic() < until:
                kill_one(cluster, report, chance)
                time.sleep(_EVERY)

        _phase(report, callers, "while processes were killed", kill_some)

        def restart() -> None:
            for name in CONTROLS:
                _again(cluster, report, directory, name, signal.SIGTERM)

        _phase(report, callers, "while both were restarted in turns", restart)
        _phase(
            report,
            callers,
            "while one was killed as a whole",
            lambda: _again(cluster, report, directory, "control-1", signal.SIGKILL),
        )
        callers.stop()
        look(url, report, callers.made, {})
        traces = [name for name, process in cluster.processes.items() if "Traceback" in process.log()]
        report.check(not traces, f"no process has told of a fault of its own ({traces})")
    return 1 if report.problems else 0


def _phase(report: Report, callers: Callers, what: str, happens: Any) -> None:
    calls, retried, began = callers.calls, callers.retried, time.monotonic()
    callers.slowest = 0.0
    callers.failed.clear()
    happens()
    time.sleep(1)
    took = time.monotonic() - began
    report.check(
        not callers.failed,
        f"{what}: {(callers.calls - calls) / took:.0f} calls a second, {callers.retried - retried} of"
        f" {callers.calls - calls} by another attempt, the slowest in {callers.slowest:.1f} s;"
        f" failed {dict(callers.failed)}",
    )


def _again(cluster: Cluster, report: Report, directory: Path, name: str, number: signal.Signals) -> None:
    process = cluster.processes[name]
    ready = process.log().count("\nready ")
    report.say(f"{name} gets {number.name}")
    process.signal(number)
    wait_until(lambda: process.log().count("\nready ") > ready, 240, process.log)
    # As an operator has to, who takes the next one only then.
    wait_until(lambda: takes(directory, cluster.port(name)), 240)
    time.sleep(2)


def _answers(cluster: Cluster, port: int) -> bool:
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(
            f"https://{LOOPBACK}:{port}/readyz", context=context, timeout=5
        ) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
