"""Machines that joined, the tokens by which they do, and which keys they are to have."""

from sqlalchemy import Column, Integer, Table, Text

from hatchway.domain.machine import Role
from hatchway.store.columns import EnumText, Texts
from hatchway.store.tables.schema import key, metadata, moment, text

join_tokens = Table(
    "join_tokens",
    metadata,
    key("id", 64),
    Column("role", EnumText(Role), nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    text("created_by"),
    moment("created_at"),
    moment("expires_at", index=True),
)
machines = Table(
    "machines",
    metadata,
    key("id", 64),
    text("name"),
    Column("role", EnumText(Role), nullable=False),
    Column("names", Texts, nullable=False),
    Column("key_ids", Texts, nullable=False),
    Column("request", Text, nullable=True),
    Column("certificate", Text, nullable=True),
    moment("expires_at", null=True),
    moment("joined_at"),
    moment("seen_at"),
    text("seen_from", 64),
)
key_states = Table(
    "key_states",
    metadata,
    key("kind", 16),
    Column("key_ids", Texts, nullable=False),
    text("other", 16),
)
