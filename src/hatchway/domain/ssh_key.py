"""SSH keys that were pushed to an instance, and the keys by which it is known itself."""

from dataclasses import dataclass
from datetime import datetime

LIFETIME = 60
"""Seconds for which a pushed key is usable (AWS: "SendSSHPublicKey")."""

MOST_HOST_KEYS = 16
"""Public keys by which one host is known. sshd has three by default."""


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
class HostPublicKeys:
    """The keys by which a host's sshd is known, as it reported them: `type base64`, without a comment."""

    instance_id: str
    public_keys: tuple[str, ...]
    reported_at: datetime
