"""SSH keys that were pushed to an instance, and the token by which a host asks for them."""

from dataclasses import dataclass, field
from datetime import datetime

LIFETIME = 60
"""Seconds for which a pushed key is usable (AWS: "SendSSHPublicKey")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedKey:
    """`fingerprint` is OpenSSH's, `SHA256:…`. The key is good until `expires_at`."""

    instance_id: str
    os_user: str
    fingerprint: str
    public_key: str
    expires_at: datetime
    pushed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostToken:
    """What the store keeps of a host's token: a hash, so that reading the store yields no token.

    `next_hash` is that of a newer one, which takes its place when the host first asks with it.
    """

    instance_id: str
    token_hash: bytes = field(repr=False)
    next_hash: bytes | None = field(default=None, repr=False)
    created_at: datetime
