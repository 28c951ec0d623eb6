"""A store on each database that Hatchway runs on: SQLite, and a PostgreSQL server of the tests' own."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from hatchway.store import Store

SUPERUSER = "hatchway_test"


def server_programs() -> Path | None:
    """Where initdb and pg_ctl are: Debian keeps them out of the PATH, a directory a version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    in_path = shutil.which("pg_ctl")
    return found[-1].parent if found else Path(in_path).parent if in_path else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Makes a new, empty database; its URL. The server listens on a Unix socket and nowhere else."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    directory = Path(tempfile.mkdtemp(prefix="hatchway-pg-"))
    # PostgreSQL refuses to run as root.
    account: str | None = None
    if os.geteuid() == 0:
        account = "postgres"
        os.chown(directory, pwd.getpwnam(account).pw_uid, pwd.getpwnam(account).pw_gid)

    def run(*arguments: str) -> None:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [str(programs / arguments[0]), *arguments[1:]],
            user=account,
            group=account,
            extra_groups=[] if account else None,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    data = str(directory / "data")
    base = f"postgresql+psycopg://{SUPERUSER}@/{{}}?host={directory}"
    made = 0

    def new_database() -> str:
        nonlocal made
        made += 1
        administration = create_engine(base.format("postgres"), isolation_level="AUTOCOMMIT")
        with administration.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE test_{made}")
        administration.dispose()
        return base.format(f"test_{made}")

    try:
        run("initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={directory} -c fsync=off"
        run("pg_ctl", "-D", data, "-l", str(directory / "log"), "-w", "-o", options, "start")
        try:
            yield new_database
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store with its tables."""
    url = f"sqlite:///{tmp_path}/hatchway.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql")()
    opened = Store.open(url)
    opened.migrate()
    yield opened
    opened.close()
