"""Which names of OS users SendSSHPublicKey takes."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = (
    r"(^[A-Za-z_][A-Za-z0-9\@\._-]{0,30}[A-Za-z0-9\$_-]?$)"
    r"|(^(?=.{2,32}$)[0-9]{1,32}[A-Za-z\@\._-][A-Za-z0-9\@\._-]*[A-Za-z0-9\$_-]?$)"
)
LENGTHS: Final = (1, 32)
"""As botocore's model of the operation has them; a test notices when AWS changes that."""

# In Java's dialect such classes are ASCII.
_NAME: Final = re.compile(PATTERN, re.ASCII)


def is_os_user(name: str) -> bool:
    """Whether this can be an OS user's name. None begins with a dash: ssh would take it for an option."""
    least, most = LENGTHS
    return least <= len(name) <= most and not name.startswith("-") and bool(_NAME.fullmatch(name))
