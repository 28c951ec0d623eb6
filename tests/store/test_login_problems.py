"""Of a connection to PostgreSQL that cannot be made it is told what to mend."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from tests.e2e.waiting import wait_until
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.store import Store, show_problem
from hatchway.store.login_problems import GONE, remedy

REFUSED = 'connection to server at "10.0.0.9", port 5432 failed: '


@pytest.mark.parametrize(
    ("told", "to_do"),
    [
        ('FATAL:  password authentication failed for user "hatchway"', "the password or the role is wrong"),
        ("fe_sendauth: no password supplied", "give it before the @"),
        ('FATAL:  role "hatchway" does not exist', "CREATE ROLE"),
        ('FATAL:  role "hatchway" is not permitted to log in', "LOGIN"),
        ('FATAL:  database "hatchway" does not exist', "CREATE DATABASE"),
        ('FATAL:  permission denied for database "hatchway"', "GRANT CONNECT"),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "a", database "b", no encryption',
            "pg_hba.conf",
        ),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ('FATAL:  too many connections for role "hatchway"', "CONNECTION LIMIT"),
        ("server does not support SSL, but SSL was required", "sslmode"),
        ('root certificate file "/etc/ca.pem" does not exist', "sslrootcert"),
        ("Connection refused", "listen_addresses"),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", "host and port"),
        ("connection timeout expired", "firewall"),
        ("FATAL:  the database system is in recovery mode", "pg_wal"),
        ("FATAL:  no such database: hatchway", "CREATE DATABASE"),
    ],
)
def test_each_reason_has_what_to_mend(told: str, to_do: str) -> None:
    assert to_do in remedy(REFUSED + told)


def test_of_words_that_are_not_known_all_is_told() -> None:
    assert remedy("FATAL:  Passwort-Authentifizierung für Benutzer »hatchway« fehlgeschlagen") == GONE


def test_what_a_real_server_refuses_is_told_with_what_to_mend() -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        url = server.new_database()
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for role in ("guarded LOGIN PASSWORD 'right'", "guest LOGIN", "locked_out"):
                connection.exec_driver_sql(f"CREATE ROLE {role}")
            rules = Path(connection.exec_driver_sql("SHOW hba_file").scalar_one())
            rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        engine.dispose()
        directory = rules.parents[1]
        at = url.split("@")[1]
        for who, to_do in {
            f"locked_out@{at}": "CREATE ROLE",
            f"unheard_of@{at}": "CREATE ROLE",
            f"guest@/unheard_of?host={directory}": "CREATE DATABASE",
            f"guest@/hatchway?host={directory}/elsewhere": "listen_addresses",
        }.items():
            assert to_do in _told(f"postgresql://{who}")
        # It reads its rules a moment later.
        told = [""]

        def is_refused() -> bool:
            told[0] = _told(f"postgresql://guarded:wrong-one@{at}")
            return "the password or the role is wrong" in told[0]

        wait_until(is_refused)
        assert "wrong-one" not in told[0]


def _told(url: str) -> str:
    try:
        Store.open(url).is_empty()
    except OperationalError as problem:
        return show_problem(url, problem)
    return ""
