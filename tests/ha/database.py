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


class Programs:
    """PostgreSQL's, run as a user that they accept, in the network of a process where one is told.

    Raises:
        SystemExit: they are not here.
    """

    def __init__(self, directory: Path) -> None:
        programs = server_programs()
        if programs is None:
            raise SystemExit("PostgreSQL's server is missing: install Debian's package postgresql")
        self._programs = programs
        self._directory = directory
        self.account = "postgres" if os.geteuid() == 0 else None
        if self.account is not None:
            owner = pwd.getpwnam(self.account)
            os.chown(directory, owner.pw_uid, owner.pw_gid)

    def run(self, *command: str, network_of: int | None = None) -> None:
        """
        Raises:
            AssertionError: it failed.
        """
        account, inside = self.account, list[str]()
        if network_of is not None:
            # Who enters a network has to be root, and is that user afterwards.
            assert account is not None
            owner, account = pwd.getpwnam(account), None
            inside = ["nsenter", "--target", str(network_of), "--net"]
            inside += ["--setuid", str(owner.pw_uid), "--setgid", str(owner.pw_gid), "--"]
        done = subprocess.run(
            [*inside, str(self._programs / command[0]), *command[1:]],
            user=account,
            group=account,
            extra_groups=[] if account else None,
            cwd=self._directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command[0]}: {done.stderr}"


class Server:
    """One server, in a directory of its own: on loopback, or on a machine of `tests.ha.wires`."""

    def __init__(
        self,
        programs: Programs,
        directory: Path,
        *,
        name: str = "standby",
        address: str = LOOPBACK,
        network_of: int | None = None,
    ) -> None:
        self._programs = programs
        self._network_of = network_of
        self.directory = directory
        self.name = name
        self.address = address
        self.port = free_port()

    def make(self) -> None:
        """As a new, empty one."""
        self._run("initdb", "-D", self._data, "-U", SUPERUSER, "-A", "trust", "--no-sync")
        if self.address != LOOPBACK:
            with Path(self._data, "pg_hba.conf").open("a") as rules:
                rules.write("host all,replication all samenet trust\n")

    def make_standby_of(self, primary: "Server", address: str | None = None) -> None:
        """As a copy of another, which it follows, by an address of that one."""
        shutil.rmtree(self._data, ignore_errors=True)
        source = self._follows(primary, address)
        self._run("pg_basebackup", "-D", self._data, "-R", "-c", "fast", "--no-sync", "-d", source)

    def follow(self, primary: "Server", address: str) -> None:
        """What is a standby already is the one of another from now on."""
        self.execute(
            f"ALTER SYSTEM SET primary_conninfo = '{self._follows(primary, address)}'",
            "SELECT pg_reload_conf()",
        )

    def _follows(self, primary: "Server", address: str | None) -> str:
        at = f"host={address or primary.address} port={primary.port}"
        return f"{at} user={SUPERUSER} application_name={self.name}"

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses={'*' if self.address != LOOPBACK else LOOPBACK}"
            " -c unix_socket_directories= -c fsync=off"
            " -c max_connections=300 -c wal_level=replica -c hot_standby=on -c wal_keep_size=256MB"
        )
        log = str(self.directory / f"log-{self.port}")
        self._run("pg_ctl", "-D", self._data, "-l", log, "-w", "-t", "120", "-o", options, "start")

    def _run(self, *command: str) -> None:
        self._programs.run(*command, network_of=self._network_of)

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
        self._run("pg_ctl", "-D", self._data, "-w", "-t", "60", "promote")

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        """Each in a transaction of its own; the rows of the last."""
        found: list[tuple[object, ...]] = []
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                found = cursor.fetchall() if cursor.description else []
        return found

    def require_standby(self, names: str) -> None:
        """Of which standbys a commit waits for the disk: `synchronous_standby_names`; empty for none."""
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}@{self.address}:{self.port}/{_DATABASE}"

    @property
    def _data(self) -> str:
        return str(self.directory / f"data-{self.port}")


class Pooler:
    """A PgBouncer on loopback, in transaction mode, in front of one server at a time."""

    def __init__(self, programs: Programs, directory: Path) -> None:
        self._account = programs.account
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"postgresql://{SUPERUSER}@{LOOPBACK}:{self._port}/{_DATABASE}"

    def start(self, host: str, port: int) -> None:
        """In front of that server."""
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        (self._directory / "users").write_text(f'"{SUPERUSER}" ""\n')
        self.point(host, port)
        self._process = subprocess.Popen(
            [program, str(self._directory / "pgbouncer.ini")],
            user=self._account,
            group=self._account,
            extra_groups=[] if self._account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def point(self, host: str, port: int) -> None:
        """To another server."""
        (self._directory / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={host} port={port}\n[pgbouncer]\n"
            f"listen_addr = {LOOPBACK}\nlisten_port = {self._port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self._directory}/users\npool_mode = transaction\n"
            f"logfile = {self._directory}/pgbouncer.log\ndefault_pool_size = 30\nmax_client_conn = 500\n"
            "server_login_retry = 1\nserver_connect_timeout = 5\n"
            "tcp_user_timeout = 20000\ntcp_keepidle = 10\ntcp_keepintvl = 5\ntcp_keepcnt = 3\n"
        )
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)


class Pair:
    """The two, with PgBouncer."""

    def __init__(self, directory: Path) -> None:
        self._programs = Programs(directory)
        self.primary, self.standby = Server(self._programs, directory), Server(self._programs, directory)
        self._pooler = Pooler(self._programs, directory)

    def start(self) -> None:
        self.primary.make()
        self.primary.start()
        self._attach()

    def stop(self) -> None:
        self._pooler.stop()
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
        return self._pooler.url

    def start_pooler(self) -> None:
        self._pooler.start(LOOPBACK, self.primary.port)

    def kill_pooler(self) -> None:
        """It is started again at once, as its service manager does."""
        self._pooler.kill()
        self.start_pooler()

    def fail_over(self) -> None:
        """Kills the primary, and puts the standby in its place; a new standby is made meanwhile."""
        former = self.primary
        former.kill()
        time.sleep(1)
        self.primary, self.standby = self.standby, former
        self.primary.promote()
        # Until there is another standby, nobody waits for one.
        self.primary.require_standby("")
        self._pooler.point(LOOPBACK, self.primary.port)
        self._attach()

    def _attach(self) -> None:
        self.standby.make_standby_of(self.primary)
        self.standby.start()
        streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        wait_until(lambda: self.primary.execute(streaming) == [(1,)], 60)
        self.primary.require_standby("*")


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
