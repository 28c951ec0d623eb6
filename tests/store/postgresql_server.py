"""A PostgreSQL server of the tests' own. It listens on a Unix socket and nowhere else."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import create_engine, make_url

SUPERUSER = "hatchway_test"


def server_programs() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps them out of the PATH, a directory a version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    in_path = shutil.which("pg_ctl")
    return found[-1].parent if found else Path(in_path).parent if in_path else None


class PostgresqlServer:
    """One server in a directory."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        self._data = str(directory / "data")
        self._base = f"postgresql+psycopg://{SUPERUSER}@/{{}}?host={directory}"
        self._made = 0
        # PostgreSQL refuses to run as root.
        self._account: str | None = None
        if os.geteuid() == 0:
            self._account = "postgres"
            owner = pwd.getpwnam(self._account)
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", self._data, "-U", SUPERUSER, "-A", "trust", "--no-sync")

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self._directory} -c fsync=off"
        log = str(self._directory / "log")
        self._run("pg_ctl", "-D", self._data, "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        """Ends it as a crash does."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Within it the server does nothing, and its connections do not break."""
        pid = int(Path(self._data, "postmaster.pid").read_text().split()[0])
        # It first: then it makes no more.
        _stop([pid])
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        _stop(children)
        pids = [pid, *children]
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    def tell_of_waits(self) -> None:
        """From now on its log has who waits for a lock for longer than 20 ms."""
        administration = create_engine(self._base.format("postgres"), isolation_level="AUTOCOMMIT")
        with administration.connect() as connection:
            for setting in ("log_lock_waits = on", "deadlock_timeout = '20ms'", "log_line_prefix = '%a|'"):
                connection.exec_driver_sql(f"ALTER SYSTEM SET {setting}".replace("%", "%%"))
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        administration.dispose()

    def log(self) -> str:
        return (self._directory / "log").read_text(errors="replace")

    def new_database(self, template: str = "") -> str:
        """The URL of a new database: an empty one, or a copy of one, by its URL, that nobody has open."""
        self._made += 1
        administration = create_engine(self._base.format("postgres"), isolation_level="AUTOCOMMIT")
        with administration.connect() as connection:
            copied = f"TEMPLATE {make_url(template).database}" if template else ""
            connection.exec_driver_sql(f"CREATE DATABASE test_{self._made} {copied}")
        administration.dispose()
        return self._base.format(f"test_{self._made}")

    def _run(self, *arguments: str) -> None:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [str(self._programs / arguments[0]), *arguments[1:]],
            user=self._account,
            group=self._account,
            extra_groups=[] if self._account else None,
            cwd=self._directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def _stop(pids: list[int]) -> None:
    """Suspends them, and waits until they do nothing any more."""
    _signal(pids, signal.SIGSTOP)
    for pid in pids:
        with suppress(OSError):
            # The state comes behind the name, which is in parentheses (proc(5)).
            while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("T", "Z", "X"):
                pass


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def postgresql_server(programs: Path) -> Iterator[PostgresqlServer]:
    """A server that runs; nothing of it is left in the end."""
    directory = Path(tempfile.mkdtemp(prefix="hatchway-pg-"))
    try:
        server = PostgresqlServer(programs, directory)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)
