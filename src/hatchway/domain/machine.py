"""A machine that joined an installation: the token by which it did, and what is kept of it.

The role, the hash of the token and the machine's key are not among these fields: who could write rows would
choose them. They are sealed, among the store's secrets, under the id.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from hatchway.domain.bearer_token import TokenForm

JOIN_TOKEN: Final = TokenForm("hwj", re.compile(r"jt-[0-9a-f]{17}"), "join token", "join token")
MACHINE_TOKEN: Final = TokenForm("hwm", re.compile(r"m-[0-9a-f]{17}"), "machine", "machine's token")


class Role(StrEnum):
    """What a machine runs: a control plane has the master key, a gateway has not."""

    CONTROL = "control"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """What is shown of one. `created_by` is the operating system's user; moments are in UTC.

    `max_uses` machines may join by it; `uses` have.
    """

    id: str
    role: Role
    max_uses: int
    uses: int
    created_by: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is shown of one, and its certificate on the way.

    Attributes:
        name: what it calls itself: its host name.
        names: what its certificate is to be for, of what the private CA may issue for.
        key_ids: of the master keys and gateway keys that it last said it has, each as `kind:id`, and the
            fingerprints of the CAs that it said it trusts, as `ca:fingerprint`.
        request: a certificate request (PEM) that no control plane with the CA's key has seen yet.
        certificate: what the CA answered to the last one (PEM).
        expires_at: when that certificate ends.
        seen_at, seen_from: when it last asked, and the address that it came from.
    """

    id: str
    name: str
    role: Role
    names: tuple[str, ...]
    key_ids: tuple[str, ...] = ()
    request: str | None = None
    certificate: str | None = None
    expires_at: datetime | None = None
    joined_at: datetime
    seen_at: datetime
    seen_from: str

    @property
    def finished(self) -> bool:
        """Whether it has come back since it joined: until then its joining may have been interrupted."""
        return self.seen_at > self.joined_at


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """Which keys there are of a kind, `master` or `gateway`, by their ids: the one that seals first, and
    whether the other, if any, is the `next` one or the `former`. Of the kind `ca` by fingerprints, the one
    that issues first."""

    kind: str
    key_ids: tuple[str, ...]
    other: str = ""

    def suits(self, held: Sequence[str]) -> bool:
        """Whether who holds these, the one that seals first, gets on with those who hold what there is: each
        opens what the other seals. So may be who is one step of a rotation behind, and nobody else."""
        return self.key_ids[0] in held and held[0] in self.key_ids
