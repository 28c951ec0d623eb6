"""The one of several PostgreSQL servers that may be written, which another takes over when it is gone.

libpq asks them in the order of the URL. One that is gone without a word would have each new connection wait
for it, so the one that answered last is asked first.
"""

from typing import Any, Final

from sqlalchemy import URL, Engine, event

_READ_ONLY: Final = "25006"
"""read_only_sql_transaction (PostgreSQL: "PostgreSQL Error Codes")."""

Server = tuple[str, str]
"""A host and a port, as texts."""


def names_several(url: URL) -> bool:
    """Whether a store's URL names more than one server."""
    return "," in str(url.query.get("host", ""))


def first_asked(servers: list[Server], last: Server | None) -> list[Server]:
    """The order in which to ask them, when `last` has answered the last time."""
    return sorted(servers, key=lambda server: server != last)


def follow_primary(engine: Engine) -> None:
    """Has an engine's new connections ask first who answered last, and none be used any more that turns out
    to lead to a server which may only be read: it was put back behind another."""
    last: list[Server] = []

    def ask(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        hosts, ports = str(options.get("host", "")).split(","), str(options.get("port", "")).split(",")
        if len(hosts) > 1 and len(hosts) == len(ports):
            order = first_asked(list(zip(hosts, ports, strict=True)), last[0] if last else None)
            options["host"] = ",".join(host for host, _ in order)
            options["port"] = ",".join(port for _, port in order)

    def answered(connection: Any, _record: Any) -> None:
        last[:] = [(connection.info.host, str(connection.info.port))]

    is_lost = engine.dialect.is_disconnect

    def is_of_no_use(problem: Any, connection: Any, cursor: Any) -> bool:
        # All connections of the pool lead there.
        return getattr(problem, "sqlstate", None) == _READ_ONLY or is_lost(problem, connection, cursor)

    event.listen(engine, "do_connect", ask)
    event.listen(engine, "connect", answered)
    # Not an event: what goes to the driver itself has none (`hatchway.store.prepared`).
    engine.dialect.is_disconnect = is_of_no_use  # type: ignore[method-assign, assignment]
