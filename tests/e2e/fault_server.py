"""A `hatchway serve` to do harm to: its processes by name, its store, its log."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update
from tests.cli.commands import hatchway
from tests.e2e.processes import lives
from tests.e2e.waiting import free_port, wait_until
from tests.trail_files import events_in
from tests.transport.harness import LOOPBACK

from hatchway.sigv4.signing import presign
from hatchway.store import Store
from hatchway.store.tables import gateway_workers

GATEWAY_NAME = "gateway.example"
REGION = "us-east-1"
ENDPOINT = "eice-0123456789abcdef0"
WORKERS = 2
HOUR = timedelta(hours=1)
_START_SECONDS = 180
"""In which each of its processes is there: a busy machine has taken a minute for the first."""

FLEET = {
    "account": "123456789012",
    "region": REGION,
    "vpcs": {
        "loopback": {
            "cidr": "127.0.0.0/8",
            "subnets": {"all": {"cidr": "127.0.0.0/24", "availability_zone": f"{REGION}a"}},
        }
    },
    "instances": {"all": {"subnet": "loopback/all", "private_ip": "127.0.0.1"}},
    "endpoints": {"all": {"id": ENDPOINT, "subnet": "loopback/all", "max_tunnels": 500}},
    # Root opens no tunnel.
    "users": {
        "alice": {
            "inline": {
                "all": {
                    "Version": "2012-10-17",
                    "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
                }
            }
        }
    },
}

_STARTED = re.compile(r'"process": ?"(?P<name>[^"]+)", ?"pid": ?(?P<pid>\d+)')


class FaultServer:
    """An installation on a disk, on ports of its own, and its server: on SQLite, or by `store_url`.

    What is not to share the disk's fate goes to `directory`, such as the log.
    """

    def __init__(self, directory: Path, disk: Path, store_url: str | None = None) -> None:
        self._data = disk / "data"
        self._log = directory / "serve.log"
        # Waited for so briefly that a test sees it fail.
        self.store_url = store_url or f"sqlite:///{self._data}/hatchway.db?timeout=1"
        self._api, self._gateway = free_port(), free_port()
        init = ["init", "--account", "123456789012", "--gateway-dns-name", GATEWAY_NAME, "--json"]
        self._run(*init, *([] if store_url is None else ["--store-url", store_url]))
        fleet = directory / "fleet.json"
        fleet.write_text(json.dumps(FLEET))
        self._run("apply", "--store-url", self.store_url, str(fleet))
        made = json.loads(self._run("access-key", "create", "alice", "--store-url", self.store_url, "--json"))
        self._key: tuple[str, str] = made["access_key_id"], made["secret_access_key"]
        # Who tests waits for a lock as long as others do, however busy those are that have it.
        self.store = Store.open(re.sub(r"\?timeout=1$|&options=.*$", "", self.store_url))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def gateway_port(self) -> int:
        return self._gateway

    def start(self) -> None:
        """Starts the server and waits until all of it is ready."""
        before = self.log().count("gateway starts")
        command = [*self._command("serve"), "--store-url", self.store_url, "--gateway-workers", str(WORKERS)]
        command += ["--api", f"{LOOPBACK}:{self._api}", "--gateway", f"{LOOPBACK}:{self._gateway}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(lambda: self.log().count("gateway starts") >= before + WORKERS, _START_SECONDS, self.log)

    def stop(self) -> None:
        """Ends it in order."""
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self.store.close()

    def kill(self, name: str) -> None:
        """SIGKILLs one of its processes, and waits until it has been started again and listens."""
        pids = self._pids()
        ready = {"control": "control plane starts"}.get(name, "gateway starts")
        before = self.log().count(ready)
        os.kill(pids[name], signal.SIGKILL)
        wait_until(lambda: self._pids()[name] != pids[name], _START_SECONDS, self.log)
        wait_until(lambda: self.log().count(ready) > before, _START_SECONDS, self.log)

    def kill_all(self) -> None:
        """SIGKILLs the supervisor and all of its processes."""
        assert self._process is not None
        pids = self._pids().values()
        self._process.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: not any(map(lives, pids)))

    def log(self) -> str:
        """All that its processes have said so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def wait_for_log(self, words: str) -> None:
        """Waits until a process has said this: what it says of something follows it."""
        wait_until(lambda: words in self.log(), 60, self.log)

    def signed_target(self, port: int) -> str:
        """The request target of an OpenTunnel to a port on loopback."""
        return presign(
            GATEWAY_NAME,
            "/openTunnel",
            {
                "instanceConnectEndpointId": ENDPOINT,
                "privateIpAddress": LOOPBACK,
                "remotePort": str(port),
            },
            access_key_id=self._key[0],
            secret_access_key=self._key[1],
            now=datetime.now(UTC),
            region=REGION,
            service="ec2-instance-connect",
            expires=60,
        )

    def events(self, name: str) -> list[dict[str, Any]]:
        """The audit events of this name, in the store."""
        with self.store.read() as tx:
            return [json.loads(record.body) for record in tx.audit_records.find(event_name=name)]

    def open_rows(self) -> int:
        """The tunnels that the store takes for open."""
        with self.store.read() as tx:
            return tx.tunnels.count()

    def let_leases_run_out(self) -> None:
        """As if an hour had passed since any worker said that it is alive."""
        aged = datetime.now(UTC) - HOUR
        with self.store.engine.begin() as connection:
            connection.execute(update(gateway_workers).values(lease_until=aged))

    def check_trail(self, carried: Mapping[str, str]) -> None:
        """Each request that carried a byte was entered as opened, and each opening has its one end.

        `carried` are the ids of those requests, and what to call them by. No tunnel may be open.
        """
        self.let_leases_run_out()
        wait_until(
            lambda: not self.open_rows(), 60, lambda: f"{self.open_rows()} rows are left:\n{self.log()}"
        )
        opened = {
            event["requestID"]: event["additionalEventData"]["tunnelId"]
            for event in self.events("OpenTunnel")
            if "errorCode" not in event
        }
        assert carried.keys() <= opened.keys()
        ends = Counter(event["additionalEventData"]["tunnelId"] for event in self.events("CloseTunnel"))
        assert ends == Counter(opened.values())
        with self.store.read() as tx:
            ids = {record.event_id for record in tx.audit_records.find()}
        exported = self._data / "audit.jsonl"
        wait_until(lambda: ids <= {event["eventID"] for event in events_in(exported)})
        # Who has yet to renew his lease could be taken for dead, with what he carries for the next test.
        wait_until(lambda: self._leases_that_run() >= WORKERS, message=self.log)

    def _leases_that_run(self) -> int:
        with self.store.read() as tx:
            return tx.gateway_workers.count(gateway_workers.c.lease_until > datetime.now(UTC))

    def _pids(self) -> dict[str, int]:
        """The processes by name, as they were last started."""
        return {found["name"]: int(found["pid"]) for found in _STARTED.finditer(self.log())}

    def _command(self, *arguments: str) -> list[str]:
        words = [*arguments, "--data-dir", str(self._data)]
        return [sys.executable, "-P", "-m", "hatchway", *words]

    def _run(self, *arguments: str) -> str:
        done = hatchway(*arguments, "--data-dir", str(self._data))
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def fault_server(directory: Path, disk: Path, store_url: str | None = None) -> Iterator[FaultServer]:
    """A server, stopped in the end."""
    server = FaultServer(directory, disk, store_url)
    try:
        yield server
    finally:
        server.stop()
