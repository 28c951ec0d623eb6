"""Which names of OS users SendSSHPublicKey takes: read from botocore's model of it, where AWS changes it."""

from __future__ import annotations

import re
from functools import cache


def is_os_user(name: str) -> bool:
    """Whether this can be an OS user's name. None begins with a dash: ssh would take it for an option."""
    pattern, least, most = _constraints()
    return least <= len(name) <= most and not name.startswith("-") and bool(pattern.fullmatch(name))


@cache
def _constraints() -> tuple[re.Pattern[str], int, int]:
    from botocore.loaders import Loader

    # Nothing is read from the user's home or from the environment, as the default search path would.
    loader = Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    shape = loader.load_service_model("ec2-instance-connect", "service-2")["shapes"]["InstanceOSUser"]
    # In Java's dialect such classes are ASCII.
    return re.compile(shape["pattern"], re.ASCII), shape["min"], shape["max"]
