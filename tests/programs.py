"""Programs that tests start and not every machine has."""

import shutil
from typing import Final

import pytest

NOT_FETCHED: Final = "not fetched by `make test`: "
"""So begins why a test skips whose program is neither in Debian nor small: no failure in CI either."""

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(program: str) -> str | None:
    """Where it is; in the directories for root's programs, too."""
    return shutil.which(program) or shutil.which(program, path=_PATH)


def needs(program: str, package: str) -> pytest.MarkDecorator:
    """Has tests skip where the program is not, by the name of Debian's package."""
    return pytest.mark.skipif(find(program) is None, reason=f"{program} is missing: install {package}")
