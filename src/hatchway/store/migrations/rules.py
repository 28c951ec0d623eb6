"""Triggers that keep `security_group_rules` to the groups' own lists, for migrations to make.

A group's lists of rules say what is in force, and gateways read them. The database itself sees to it that
each of their rules has one row, and no other rule has: so whatever writes a group, a program of before the
table included, leaves both the same. A shipped migration uses these texts: to change one is to write another
beside it.
"""

from collections.abc import Iterator
from typing import Final

_TABLE: Final = "security_groups"
_NEW_ID: Final = {
    "sqlite": "'sgr-' || substr(lower(hex(randomblob(9))), 1, 17)",
    "postgresql": "'sgr-' || substr(md5(random()::text || clock_timestamp()::text), 1, 17)",
}
_SOURCE: Final = {
    "sqlite": "json_each(NEW.{list}) AS listed",
    "postgresql": "json_array_elements(NEW.{list}) AS listed(value)",
}
_FIELDS: Final = {
    "sqlite": tuple(f"json_extract(listed.value, '$[{index}]')" for index in range(4)),
    "postgresql": (
        "listed.value->>0",
        "(listed.value->>1)::int",
        "(listed.value->>2)::int",
        "listed.value->>3",
    ),
}
_COLUMNS: Final = ("protocol", "from_port", "to_port", "peer")
_DIRECTIONS: Final = (("ingress", "false"), ("egress", "true"))


def make_triggers(dialect: str) -> Iterator[str]:
    """Statements after which every change of a group's lists is one of the rules' rows."""
    put = " ".join(_statements(dialect))
    take = "DELETE FROM security_group_rules WHERE group_id = OLD.id;"
    if dialect == "postgresql":
        yield (
            "CREATE FUNCTION keep_security_group_rules() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN"
            f" IF TG_OP = 'DELETE' THEN {take} ELSE {put} END IF; RETURN NULL; END $body$"
        )
    changed = {
        "sqlite": "WHEN OLD.ingress IS NOT NEW.ingress OR OLD.egress IS NOT NEW.egress",
        "postgresql": "WHEN (OLD.ingress::text IS DISTINCT FROM NEW.ingress::text"
        " OR OLD.egress::text IS DISTINCT FROM NEW.egress::text)",
    }[dialect]
    for event, when, condition, body in (
        ("insert", "INSERT", "", put),
        ("update", "UPDATE OF ingress, egress", changed, put),
        ("delete", "DELETE", "", take),
    ):
        action = {
            "sqlite": f"{condition} BEGIN {body} END",
            "postgresql": f"FOR EACH ROW {condition} EXECUTE FUNCTION keep_security_group_rules()",
        }[dialect]
        yield f"CREATE TRIGGER {_name(event)} AFTER {when} ON {_TABLE} {action}"


def drop_triggers(dialect: str) -> Iterator[str]:
    """Statements that take them away again."""
    for event in ("insert", "update", "delete"):
        on = f" ON {_TABLE}" if dialect == "postgresql" else ""
        yield f"DROP TRIGGER {_name(event)}{on}"
    if dialect == "postgresql":
        yield "DROP FUNCTION keep_security_group_rules()"


def _name(event: str) -> str:
    return f"keep_security_group_rules_on_{event}"


def _statements(dialect: str) -> Iterator[str]:
    fields = _FIELDS[dialect]
    same = " AND ".join(
        f"security_group_rules.{column} = {field}" for column, field in zip(_COLUMNS, fields, strict=True)
    )
    for name, egress in _DIRECTIONS:
        source = _SOURCE[dialect].format(list=name)
        rows = f"security_group_rules WHERE group_id = NEW.id AND egress = {egress}"
        # All parts are a migration's own words.
        yield f"DELETE FROM {rows} AND NOT EXISTS (SELECT 1 FROM {source} WHERE {same});"  # noqa: S608
        columns = ", ".join(("id", "group_id", "egress", *_COLUMNS, "description", "tags"))
        yield (
            f"INSERT INTO security_group_rules ({columns})"  # noqa: S608
            f" SELECT {_NEW_ID[dialect]}, NEW.id, {egress}, {', '.join(fields)}, '', '{{}}' FROM {source}"
            f" WHERE NOT EXISTS (SELECT 1 FROM {rows} AND {same});"
        )
