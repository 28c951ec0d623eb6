"""The token by which hosts register themselves: `et-` and 17 hexadecimal digits are its id."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hatchway.domain.bearer_token import TokenForm
from hatchway.domain.network import Tags

ENROLLMENT_TOKEN_ID: Final = re.compile(r"et-[0-9a-f]{17}")
ENROLLMENT_TOKEN: Final = TokenForm("hwe", ENROLLMENT_TOKEN_ID, "enrollment token", "enrollment token")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollmentToken:
    """What the store keeps of one. `created_by` is an ARN; moments are in UTC.

    `max_uses` hosts may register by it, in this subnet and with these groups and tags; `uses` have.
    """

    id: str
    token_hash: bytes = field(repr=False)
    subnet_id: str
    security_group_ids: tuple[str, ...]
    tags: Tags
    max_uses: int
    uses: int
    created_by: str
    created_at: datetime
    expires_at: datetime

    def usable(self, now: datetime) -> bool:
        """Whether one more host may register by it."""
        return self.uses < self.max_uses and now < self.expires_at
