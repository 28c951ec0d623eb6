"""Triggers that keep the index tables in step, for migrations to make.

The database itself does it, so that whatever writes a row, a program of before the index included, leaves
the index right. A shipped migration uses these texts: to change one is to write another beside it.
"""

from collections.abc import Iterator
from typing import Final

TAGS: Final = "tags"
SECURITY_GROUPS: Final = "security_groups"

_INDEXES: Final = {
    # What is indexed: the column, the index table, and its two columns that are not the resource.
    TAGS: ("tags", "tag_index", "tag_key, tag_value"),
    SECURITY_GROUPS: ("security_group_ids", "security_group_uses", "group_id"),
}
_ENTRIES: Final = {
    ("sqlite", TAGS): "entry.key, entry.value FROM json_each({row}tags) AS entry",
    ("postgresql", TAGS): "entry.key, entry.value FROM json_each_text({row}tags) AS entry",
    ("sqlite", SECURITY_GROUPS): "entry.value FROM json_each({row}security_group_ids) AS entry",
    (
        "postgresql",
        SECURITY_GROUPS,
    ): "entry.value FROM json_array_elements_text({row}security_group_ids) AS entry",
}


def make_triggers(dialect: str, what: str, table: str, resource_type: str) -> Iterator[str]:
    """Statements after which whatever writes a row of `table` has it in the index as it is.

    `what` is `TAGS` or `SECURITY_GROUPS`; `resource_type` is what EC2 calls the rows' kind.
    """
    if dialect == "postgresql":
        yield from _postgresql(what, table, resource_type)
    else:
        yield from _sqlite(what, table, resource_type)


def fill(dialect: str, what: str, table: str, resource_type: str) -> str:
    """A statement that puts into the index the rows of `table` from one id to another: `after`, which is not
    among them any more, and `to`, which is. What is in the index already stays.

    Nobody may write one of these rows meanwhile.
    """
    _, index, columns = _INDEXES[what]
    entries, _, source = _ENTRIES[dialect, what].format(row=f"{table}.").partition(" FROM ")
    # All parts are a migration's own words.
    return (
        f"INSERT INTO {index} (resource_type, resource_id, {columns})"  # noqa: S608
        f" SELECT '{resource_type}', {table}.id, {entries} FROM {table}, {source}"
        f" WHERE {table}.id > :after AND {table}.id <= :to ON CONFLICT DO NOTHING"
    )


def drop_index(dialect: str, what: str, table: str) -> Iterator[str]:
    """Statements that take the triggers away again."""
    for event in ("insert", "update", "delete"):
        on = f" ON {table}" if dialect == "postgresql" else ""
        yield f"DROP TRIGGER {trigger_name(what, table, event)}{on}"
        if dialect == "postgresql" and event == "delete":
            yield f"DROP FUNCTION {_function_name(what, table)}()"


def trigger_name(what: str, table: str, event: str) -> str:
    return f"index_{what}_of_{table}_on_{event}"


def _function_name(what: str, table: str) -> str:
    return f"index_{what}_of_{table}"


def _put(dialect: str, what: str, resource_type: str) -> str:
    _, index, columns = _INDEXES[what]
    entries = _ENTRIES[dialect, what].format(row="NEW.")
    return (
        f"INSERT INTO {index} (resource_type, resource_id, {columns})"
        f" SELECT '{resource_type}', NEW.id, {entries} WHERE true ON CONFLICT DO NOTHING;"
    )


def _take(what: str, resource_type: str) -> str:
    _, index, _ = _INDEXES[what]
    return f"DELETE FROM {index} WHERE resource_id = OLD.id AND resource_type = '{resource_type}';"  # noqa: S608


def _sqlite(what: str, table: str, resource_type: str) -> Iterator[str]:
    column, _, _ = _INDEXES[what]
    put, take = _put("sqlite", what, resource_type), _take(what, resource_type)
    events = {
        "insert": ("INSERT", "", put),
        "update": (f"UPDATE OF {column}", f"WHEN OLD.{column} IS NOT NEW.{column}", f"{take} {put}"),
        "delete": ("DELETE", "", take),
    }
    for event, (when, condition, body) in events.items():
        name = trigger_name(what, table, event)
        yield f"CREATE TRIGGER {name} AFTER {when} ON {table} {condition} BEGIN {body} END"


def _postgresql(what: str, table: str, resource_type: str) -> Iterator[str]:
    column, _, _ = _INDEXES[what]
    put, take = _put("postgresql", what, resource_type), _take(what, resource_type)
    function = _function_name(what, table)
    yield (
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN"
        f" IF TG_OP <> 'INSERT' THEN {take} END IF;"
        f" IF TG_OP <> 'DELETE' THEN {put} END IF;"
        " RETURN NULL; END $body$"
    )
    changed = f"WHEN (OLD.{column}::text IS DISTINCT FROM NEW.{column}::text)"
    for event, condition in (("insert", ""), ("update", changed), ("delete", "")):
        when = f"UPDATE OF {column}" if event == "update" else event.upper()
        yield (
            f"CREATE TRIGGER {trigger_name(what, table, event)} AFTER {when} ON {table}"
            f" FOR EACH ROW {condition} EXECUTE FUNCTION {function}()"
        )
