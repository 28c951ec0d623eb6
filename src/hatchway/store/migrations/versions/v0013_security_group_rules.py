"""Rules of security groups as things with an id, a description and tags; settings of VPCs and subnets."""

import hashlib

import sqlalchemy as sa
from alembic import op

from hatchway.store.migrations import indexing
from hatchway.store.migrations.rules import drop_triggers, make_triggers

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INDEXED = (indexing.TAGS, "security_group_rules", "security-group-rule")


def upgrade() -> None:
    # A program of before this migration makes rows without them.
    op.add_column("vpcs", sa.Column("attributes", sa.JSON(), nullable=True))
    op.add_column("subnets", sa.Column("attributes", sa.JSON(), nullable=True))
    rules = op.create_table(
        "security_group_rules",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("egress", sa.Boolean(), nullable=False),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("from_port", sa.Integer(), nullable=False),
        sa.Column("to_port", sa.Integer(), nullable=False),
        sa.Column("peer", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_group_rules"),
    )
    op.create_index("ix_security_group_rules_group_id_id", "security_group_rules", ["group_id", "id"])
    op.create_index("ix_security_group_rules_peer", "security_group_rules", ["peer"])
    connection = op.get_bind()
    account = connection.execute(sa.text("SELECT id FROM accounts")).scalar() or ""
    groups = connection.execute(
        sa.text("SELECT id, ingress, egress FROM security_groups").columns(
            sa.Column("id", sa.String()), sa.Column("ingress", sa.JSON()), sa.Column("egress", sa.JSON())
        )
    )
    found = {}
    for group_id, ingress, egress in groups:
        for direction, listed in (("ingress", ingress), ("egress", egress)):
            for protocol, from_port, to_port, peer in listed:
                text = f"{group_id} {direction} {protocol} {from_port} {to_port} {peer}"
                digest = hashlib.sha256(f"hatchway\0{account}\0sgr\0{text}".encode()).hexdigest()
                found[digest] = {
                    "id": f"sgr-{digest[:17]}",
                    "group_id": group_id,
                    "egress": direction == "egress",
                    "protocol": protocol,
                    "from_port": from_port,
                    "to_port": to_port,
                    "peer": peer,
                    "description": "",
                    "tags": {},
                }
    if found:
        connection.execute(rules.insert(), list(found.values()))
    dialect = connection.dialect.name
    for statement in (*make_triggers(dialect), *indexing.make_triggers(dialect, *_INDEXED)):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    connection = op.get_bind()
    dialect = connection.dialect.name
    for statement in (*indexing.drop_index(dialect, *_INDEXED[:2]), *drop_triggers(dialect)):
        connection.exec_driver_sql(statement)
    op.drop_table("security_group_rules")
    op.drop_column("subnets", "attributes")
    op.drop_column("vpcs", "attributes")
