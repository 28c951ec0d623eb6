"""The token by which a host says which instance it is: `hwh_<instance id>_<secret>`."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hatchway.domain.bearer_token import TokenForm
from hatchway.domain.ids import INSTANCE_ID

HOST_TOKEN: Final = TokenForm("hwh", INSTANCE_ID, "instance", "host token")
"""Its id is the instance's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostToken:
    """What the store keeps of a host's token: a hash, so that reading the store yields no token.

    `next_hash` is that of a newer one, which takes its place when the host first asks with it.
    """

    instance_id: str
    token_hash: bytes = field(repr=False)
    next_hash: bytes | None = field(default=None, repr=False)
    created_at: datetime
