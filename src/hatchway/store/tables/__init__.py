"""The tables. A column has the name of the field that it keeps, so that rows and nouns map by name.

Tables in `FEED` hold what a gateway must know: each row carries the revision that last touched it. A new
table is written into the module of its subject and named here, where everybody finds it.

| module | holds |
|---|---|
| `schema` | what tables are made of, and the feed's own two |
| `account` | the account, where its API is served, and clients' tokens of calls |
| `network` | VPCs and what is in them, and the indexes by tag and by security group |
| `identity` | users, roles, policies, access keys, sessions, and what is noted of their use |
| `hosts` | SSH keys pushed for hosts, the tokens of hosts, and the keys by which they are known |
| `machines` | machines that joined, and the tokens by which they do |
| `trail` | audit records, open tunnels, gateway workers |
"""

from hatchway.store.tables.account import accounts, api_addresses, client_tokens
from hatchway.store.tables.hosts import enrollment_tokens, host_public_keys, host_tokens, pushed_keys
from hatchway.store.tables.identity import (
    access_key_uses,
    access_keys,
    account_aliases,
    attachments,
    clear_signing_keys,
    credential_reports,
    groups,
    guardrails,
    inline_policies,
    last_accessed_jobs,
    managed_policies,
    memberships,
    policy_versions,
    role_deletions,
    roles,
    sealed_secrets,
    sealed_signing_keys,
    service_uses,
    service_uses_noted,
    sessions,
    users,
)
from hatchway.store.tables.machines import join_tokens, key_states, machines
from hatchway.store.tables.network import (
    RESOURCE_TYPES,
    endpoints,
    instances,
    network_interfaces,
    security_group_rules,
    security_group_uses,
    security_groups,
    subnets,
    tag_index,
    vpcs,
)
from hatchway.store.tables.schema import MARK, feed, metadata, tombstones
from hatchway.store.tables.trail import (
    audit_lookups,
    audit_lookups_filled,
    audit_records,
    audit_retention,
    audit_unexported,
    audit_unindexed,
    gateway_workers,
    leaders,
    terminations,
    tunnels,
)

FEED = (
    accounts,
    vpcs,
    subnets,
    security_groups,
    network_interfaces,
    instances,
    endpoints,
    users,
    groups,
    roles,
    memberships,
    managed_policies,
    policy_versions,
    inline_policies,
    attachments,
    guardrails,
    access_keys,
    sessions,
    sealed_signing_keys,
    terminations,
    api_addresses,
)
KINDS = {table.info["kind"]: table.name for table in FEED}
"""The names of the tables in `FEED`, by what tombstones call their rows."""

__all__ = [
    "FEED",
    "KINDS",
    "MARK",
    "RESOURCE_TYPES",
    "access_key_uses",
    "access_keys",
    "account_aliases",
    "accounts",
    "api_addresses",
    "attachments",
    "audit_lookups",
    "audit_lookups_filled",
    "audit_records",
    "audit_retention",
    "audit_unexported",
    "audit_unindexed",
    "clear_signing_keys",
    "client_tokens",
    "credential_reports",
    "endpoints",
    "enrollment_tokens",
    "feed",
    "gateway_workers",
    "groups",
    "guardrails",
    "host_public_keys",
    "host_tokens",
    "inline_policies",
    "instances",
    "join_tokens",
    "key_states",
    "last_accessed_jobs",
    "leaders",
    "machines",
    "managed_policies",
    "memberships",
    "metadata",
    "network_interfaces",
    "policy_versions",
    "pushed_keys",
    "role_deletions",
    "roles",
    "sealed_secrets",
    "sealed_signing_keys",
    "security_group_rules",
    "security_group_uses",
    "security_groups",
    "service_uses",
    "service_uses_noted",
    "sessions",
    "subnets",
    "tag_index",
    "terminations",
    "tombstones",
    "tunnels",
    "users",
    "vpcs",
]
