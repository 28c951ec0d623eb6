"""What keeps a program out of PostgreSQL, and which part of the store's URL or of the server is to be mended.

libpq gives no code for a connection that was not made, but a text: the server's own (its sources: auth.c,
postinit.c, postmaster.c), libpq's, or PgBouncer's. A server that speaks another language than English is told
of in general words.
"""

from typing import Final

_URL: Final = "the store's URL (--store-url, HATCHWAY_STORE_URL, or store.url of a machine that joined)"

GONE: Final = (
    "the database server cannot be reached, has refused the login, has no free connection, or has ended the"
    f" connection: check that it runs, that {_URL} is right, and that max_connections is enough"
)
_TOO_MANY: Final = (
    "the database server has no free connection for this role: raise max_connections there, or the role's"
    " CONNECTION LIMIT, or end sessions that use them (pg_stat_activity)"
)
_NO_DATABASE: Final = (
    f"there is no such database: create it (CREATE DATABASE), or name another at the end of {_URL}"
)
_NO_ROLE: Final = (
    f"no such role may log in: create it (CREATE ROLE … LOGIN), or name another before the @ in {_URL}"
)
_NOT_LET_IN: Final = (
    "the database server does not let this role log in from this machine: add a line for it to the server's"
    f" pg_hba.conf, or correct {_URL}"
)
_NO_SERVER: Final = (
    "the database server cannot be reached: check that it runs and listens there (listen_addresses), that no"
    f" firewall is in the way, and that host and port in {_URL} are right"
)

_WORDS: Final = {
    "password authentication failed": f"the password or the role is wrong: correct it in {_URL}",
    "no password supplied": f"the role needs a password: give it before the @ in {_URL}",
    "is not permitted to log in": _NO_ROLE,
    'FATAL:  role "': _NO_ROLE,
    "no such user": _NO_ROLE,
    'FATAL:  database "': _NO_DATABASE,
    "no such database": _NO_DATABASE,
    "permission denied for database": (
        f"the role may not use that database: GRANT CONNECT ON DATABASE … TO it, or name another in {_URL}"
    ),
    "the database system is": (
        "the database server is starting, recovering or shutting down: if that does not end, see its log (it"
        " does not end if there is no space for pg_wal)"
    ),
    "no pg_hba.conf entry": _NOT_LET_IN,
    "pg_hba.conf rejects": _NOT_LET_IN,
    "too many connections": _TOO_MANY,
    "too many clients": _TOO_MANY,
    "remaining connection slots are reserved": _TOO_MANY,
    "certificate": "the database server's certificate is not trusted: check sslrootcert and the host"
    " in {_URL}",
    "SSL": f"TLS with the database server fails: check its ssl setting, and sslmode in {_URL}",
    "Connection refused": _NO_SERVER,
    "No such file": _NO_SERVER,
    "resolve host": _NO_SERVER,
    "translate host": _NO_SERVER,
    "timeout": _NO_SERVER,
    "No route to host": _NO_SERVER,
    "unreachable": _NO_SERVER,
}
"""What to do by a part of the text; the first that is in it counts."""


def remedy(told: str) -> str:
    """What to do about a connection that was not made, or was lost. Nothing of what was told is in it."""
    return next((words for part, words in _WORDS.items() if part in told), GONE)
