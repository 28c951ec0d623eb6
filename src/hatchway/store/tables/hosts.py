"""Target hosts: the SSH keys pushed for them, and the tokens by which they speak for themselves."""

from sqlalchemy import Column, Integer, LargeBinary, Table, Text

from hatchway.store.columns import Texts
from hatchway.store.tables.schema import key, metadata, moment, tags, text

pushed_keys = Table(
    "pushed_keys",
    metadata,
    key("instance_id", 64),
    key("os_user", 64),
    key("fingerprint", 64),
    Column("public_key", Text, nullable=False),
    moment("expires_at", index=True),
    text("pushed_by", 2048),
)
host_tokens = Table(
    "host_tokens",
    metadata,
    key("instance_id", 64),
    Column("token_hash", LargeBinary, nullable=False),
    Column("next_hash", LargeBinary, nullable=True),
    moment("created_at"),
)
host_public_keys = Table(
    "host_public_keys",
    metadata,
    key("instance_id", 64),
    Column("public_keys", Texts, nullable=False),
    moment("reported_at"),
)
enrollment_tokens = Table(
    "enrollment_tokens",
    metadata,
    key("id", 64),
    Column("token_hash", LargeBinary, nullable=False),
    text("subnet_id", 64),
    Column("security_group_ids", Texts, nullable=False),
    tags(),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    text("created_by", 2048),
    moment("created_at"),
    moment("expires_at", index=True),
)
