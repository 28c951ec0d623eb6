"""The account itself, and what its control plane keeps: where its API is served, and tokens of calls."""

from sqlalchemy import Boolean, Column, Table, false

from hatchway.store.columns import QuotaMap
from hatchway.store.tables.schema import in_feed, key, metadata, moment, text

accounts = in_feed(
    "accounts",
    key("id", 12),
    text("region", 64),
    text("gateway_dns_name"),
    moment("created_at"),
    Column("quotas", QuotaMap, nullable=False),
    Column("end_tunnels_with_credentials", Boolean, nullable=False, server_default=false()),
)

api_addresses = in_feed("api_addresses", key("address", 64), moment("seen_at"))
client_tokens = Table(
    "client_tokens",
    metadata,
    key("token", 128),
    key("operation", 128),
    text("request_hash", 64),
    text("resource_id", 128),
    moment("created_at", index=True),
)
