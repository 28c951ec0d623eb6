"""Runs the command as a shell would."""

import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType

COMMAND = (sys.executable, "-m", "hatchway")


def environment(variables: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Ours, without what would lead a command to the caller's own Hatchway, AWS, collector or proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HATCHWAY_", "AWS_", "OTEL_"))
        and not name.lower().endswith(("_proxy", "_ca_bundle"))
    }
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", **variables}


def hatchway(
    *arguments: str, variables: Mapping[str, str] = MappingProxyType({}), timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """A finished command; the variables are added to its environment."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
