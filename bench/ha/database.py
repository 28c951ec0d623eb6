"""A PostgreSQL server of the bench's own, whose commits take as much longer as they are told to.

It waits for the disk (`fsync`), and before that for `commit_delay`, as it would for a slow disk or for a
synchronous standby far away (PostgreSQL: "WAL Configuration").
"""

from __future__ import annotations

import os
import pwd
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUPERUSER = "hatchway_bench"


class Database:
    """An empty database."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.url = f"postgresql+psycopg://{_SUPERUSER}@/postgres?host={directory}"

    @property
    def pid(self) -> int:
        """The server's first process, whose children the others are."""
        return int((self._directory / "data" / "postmaster.pid").read_text().split()[0])

    def delay_commits(self, milliseconds: int) -> None:
        """From now on each commit waits so much longer."""
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"ALTER SYSTEM SET commit_delay = {milliseconds * 1000}")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        engine.dispose()


@contextmanager
def database(directory: Path, *, connections: int = 100) -> Iterator[Database]:
    """A server that runs meanwhile in a directory, for so many connections at once.

    Raises:
        SystemExit: it cannot.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise SystemExit("PostgreSQL's server is missing: install Debian's package postgresql")
    directory.mkdir()
    # It refuses to run as root.
    account = "postgres" if os.geteuid() == 0 else None
    if account is not None:
        owner = pwd.getpwnam(account)
        os.chown(directory, owner.pw_uid, owner.pw_gid)

    def run(*command: str) -> None:
        done = subprocess.run(
            [str(found[-1] / command[0]), *command[1:]],
            user=account,
            group=account,
            extra_groups=[] if account else None,
            cwd=directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{command[0]}: {done.stderr}")

    data = str(directory / "data")
    run("initdb", "-D", data, "-U", _SUPERUSER, "-A", "trust", "--no-sync")
    # Without others at work, too, a commit waits for its delay.
    options = f"-c listen_addresses= -c unix_socket_directories={directory} -c commit_siblings=0"
    options += f" -c max_connections={connections}"
    run("pg_ctl", "-D", data, "-l", str(directory / "log"), "-w", "-o", options, "start")
    try:
        yield Database(directory)
    finally:
        run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
