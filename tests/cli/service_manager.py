"""A service manager for tests: what systemd does for one service of Type=notify, as its manual has it.

The service is told where to say how far it is (sd_notify(3)). File descriptors that it has kept are given to
the process that is started next (sd_listen_fds(3)), over restarts, and closed when it stops. A restart is
`ExecStop=`, here SIGUSR2, then SIGTERM, then a start when the main process has ended; nobody else is killed
(KillMode=process).
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Does what systemd does between fork and exec.
_EXEC = """
import fcntl, os, sys
kept = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in sys.argv[1].split(",") if number]
for place, number in enumerate(kept):
    os.dup2(number, 3 + place)
    os.close(number)
if kept:
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(kept))}
    os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


class Service:
    """
    Attributes:
        command: what is started next.
        told: what the service has said, such as READY=1.
        main: the main process.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        *,
        abstract: bool = False,
    ) -> None:
        self.command = list(command)
        self.told: list[str] = []
        self.main: subprocess.Popen[bytes] | None = None
        self._environment = dict(environment)
        self._log = directory / "service.log"
        self._kept: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        address = f"@hatchway-test-{secrets.token_hex(8)}" if abstract else str(directory / "notify")
        self._environment["NOTIFY_SOCKET"] = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if abstract else address)
        threading.Thread(target=self._hear, daemon=True).start()

    @property
    def kept(self) -> list[str]:
        """The names of what it keeps."""
        with self._lock:
            return [name for name, _ in self._kept]

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def start(self, *, fails: bool = False) -> None:
        """Start it and wait until it is ready, or until it has failed."""
        self.begin()
        assert self.main is not None
        end = time.monotonic() + 150
        while "READY=1" not in self.told:
            assert time.monotonic() < end, self.log()
            if self.main.poll() is not None:
                assert fails, self.log()
                return
            time.sleep(0.02)
        assert not fails

    def begin(self) -> None:
        """Start it, and do not wait."""
        with self._lock:
            kept = list(self._kept)
        self.told.clear()
        numbers, names = ",".join(str(number) for _, number in kept), ":".join(name for name, _ in kept)
        with self._log.open("ab") as log:
            self.main = subprocess.Popen(
                [sys.executable, "-c", _EXEC, numbers, names, *self.command],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[number for _, number in kept], start_new_session=True,
            )  # fmt: skip

    def restart(self, *, fails: bool = False) -> None:
        assert self.main is not None
        # A service that has not started yet has no ExecStop= run.
        if "READY=1" in self.told:
            self.main.send_signal(signal.SIGUSR2)
        self.main.terminate()
        self.main.wait(timeout=60)
        self.start(fails=fails)

    def stop(self) -> int:
        """The exit status."""
        assert self.main is not None
        self.main.terminate()
        status = self.main.wait(timeout=60)
        self.release()
        return status

    def release(self) -> None:
        """Close what is kept, as when it is stopped or has failed for good."""
        with self._lock:
            for _, number in self._kept:
                os.close(number)
            self._kept.clear()

    def end(self) -> None:
        """Leave nothing behind."""
        if self.main is not None:
            self.main.kill()
            self.main.wait()
        self.release()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _hear(self) -> None:
        while True:
            try:
                data, files, _, _ = socket.recv_fds(self._socket, 4096, 8)
            except OSError:
                return
            lines = data.decode().split("\n")
            fields = dict(line.partition("=")[::2] for line in lines)
            with self._lock:
                if "FDSTORE" in fields:
                    self._kept += [(fields["FDNAME"], number) for number in files]
                    files = []
                elif "FDSTOREREMOVE" in fields:
                    gone = [each for each in self._kept if each[0] == fields["FDNAME"]]
                    self._kept = [each for each in self._kept if each not in gone]
                    files = [number for _, number in gone]
                # A barrier's is closed when all before it has been dealt with.
                for number in files:
                    os.close(number)
                self.told += lines
            if not data:
                return
