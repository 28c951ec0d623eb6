"""Two PostgreSQL servers on loopback, one the other's synchronous standby, and a PgBouncer in front of them.

What an operator's failover tool does is done here: the standby is promoted, a new one is made of a base
backup, and PgBouncer is pointed to the one that may be written.
"""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from tests.e2e.waiting import free_port, wait_until
from tests.store.postgresql_server import SUPERUSER, server_programs
from tests.transport.harness import LOOPBACK

_DATABASE = "postgres"


class Server:
    """One server, in a directory of its own."""

    def __init__(self, pair: "Pair", directory: Path) -> None:
        self._pair = pair
        self.directory = directory
        self.port = free_port()

    def make(self) -> None:
        """As a new, empty one."""
        self._pair.run("initdb", "-D", self._data, "-U", SUPERUSER, "-A", "trust", "--no-sync")

    def make_standby_of(self, primary: "Server") -> None:
        """As a copy of another, which it follows."""
        shutil.rmtree(self._data, ignore_errors=True)
        source = f"host={LOOPBACK} port={primary.port} user={SUPERUSER} application_name=standby"
        self._pair.run("pg_basebackup", "-D", self._data, "-R", "-c", "fast", "--no-sync", "-d", source)

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses={LOOPBACK} -c unix_socket_directories= -c fsync=off"
            " -c max_connections=300 -c wal_level=replica -c hot_standby=on -c wal_keep_size=256MB"
        )
        log = str(self.directory / f"log-{self.port}")
        self._pair.run("pg_ctl", "-D", self._data, "-l", log, "-w", "-t", "120", "-o", options, "start")

    def kill(self) -> None:
        """As a machine that loses its power: all of its processes at once."""
        pid = int(Path(self._data, "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or _is_zombie(pid), 30)
        Path(self._data, "postmaster.pid").unlink(missing_ok=True)

    def promote(self) -> None:
        self._pair.run("pg_ctl", "-D", self._data, "-w", "-t", "60", "promote")

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        """Each in a transaction of its own; the rows of the last."""
        found: list[tuple[object, ...]] = []
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                found = cursor.fetchall() if cursor.description else []
        return found

    def require_standby(self, required: bool) -> None:
        """Whether a commit waits for a standby's disk."""
        names = "*" if required else ""
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}@{LOOPBACK}:{self.port}/{_DATABASE}"

    @property
    def _data(self) -> str:
        return str(self.directory / f"data-{self.port}")


class Pair:
    """The two, with PgBouncer."""

    def __init__(self, directory: Path) -> None:
        programs = server_programs()
        if programs is None:
            raise SystemExit("PostgreSQL's server is missing: install Debian's package postgresql")
        self._programs = programs
        self._directory = directory
        self._account = "postgres" if os.geteuid() == 0 else None
        if self._account is not None:
            owner = pwd.getpwnam(self._account)
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        self.primary, self.standby = Server(self, directory), Server(self, directory)
        self._pooler: subprocess.Popen[bytes] | None = None
        self._pooler_port = free_port()

    def start(self) -> None:
        self.primary.make()
        self.primary.start()
        self._attach()

    def stop(self) -> None:
        if self._pooler is not None:
            self._pooler.terminate()
            self._pooler.wait(30)
        for server in (self.primary, self.standby):
            with suppress(OSError, ValueError):
                server.kill()

    @property
    def url(self) -> str:
        """Of both: whoever connects finds the one that may be written."""
        hosts = f"{LOOPBACK}:{self.primary.port},{LOOPBACK}:{self.standby.port}"
        return f"postgresql://{SUPERUSER}@{hosts}/{_DATABASE}?target_session_attrs=read-write"

    @property
    def plain_url(self) -> str:
        """The same in a form that every version knows."""
        hosts, ports = f"{LOOPBACK},{LOOPBACK}", f"{self.primary.port},{self.standby.port}"
        options = f"host={hosts}&port={ports}&target_session_attrs=read-write"
        return f"postgresql://{SUPERUSER}@/{_DATABASE}?{options}"

    @property
    def pooled_url(self) -> str:
        """Through PgBouncer, in transaction mode."""
        return f"postgresql://{SUPERUSER}@{LOOPBACK}:{self._pooler_port}/{_DATABASE}"

    def start_pooler(self) -> None:
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        (self._directory / "users").write_text(f'"{SUPERUSER}" ""\n')
        self._point_pooler()
        self._pooler = subprocess.Popen(
            [program, str(self._directory / "pgbouncer.ini")],
            user=self._account,
            group=self._account,
            extra_groups=[] if self._account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill_pooler(self) -> None:
        """It is started again at once, as its service manager does."""
        assert self._pooler is not None
        self._pooler.kill()
        self._pooler.wait()
        self.start_pooler()

    def fail_over(self) -> None:
        """Kills the primary, and puts the standby in its place; a new standby is made meanwhile."""
        former = self.primary
        former.kill()
        time.sleep(1)
        self.primary, self.standby = self.standby, former
        self.primary.promote()
        # Until there is another standby, nobody waits for one.
        self.primary.require_standby(False)
        self._point_pooler()
        self._attach()

    def _attach(self) -> None:
        self.standby.make_standby_of(self.primary)
        self.standby.start()
        streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        wait_until(lambda: self.primary.execute(streaming) == [(1,)], 60)
        self.primary.require_standby(True)

    def _point_pooler(self) -> None:
        (self._directory / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={LOOPBACK} port={self.primary.port}\n[pgbouncer]\n"
            f"listen_addr = {LOOPBACK}\nlisten_port = {self._pooler_port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self._directory}/users\npool_mode = transaction\n"
            f"logfile = {self._directory}/pgbouncer.log\ndefault_pool_size = 30\nmax_client_conn = 500\n"
            "server_login_retry = 1\n"
        )
        if self._pooler is not None:
            self._pooler.send_signal(signal.SIGHUP)

    def run(self, *command: str) -> None:
        done = subprocess.run(
            [str(self._programs / command[0]), *command[1:]],
            user=self._account,
            group=self._account,
            extra_groups=[] if self._account else None,
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@contextmanager
def pair(directory: Path) -> Iterator[Pair]:
    """Both run meanwhile; what they were is the directory's owner's to take away."""
    made = Pair(directory)
    try:
        made.start()
        yield made
    finally:
        made.stop()
