"""Runs the command as a shell would."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.forks import FORKS

NO_CACHE = "/dev/null/none"
"""Where nothing can be remembered: neither in the home of whoever runs the tests, nor between tests."""

COMMAND = (sys.executable, "-m", "hatchway")


def environment(variables: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Ours, without what would lead a command to the caller's own Hatchway, AWS, collector or proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HATCHWAY_", "AWS_", "OTEL_"))
        and not name.lower().endswith(("_proxy", "_ca_bundle"))
    }
    own = {"AWS_EC2_METADATA_DISABLED": "true", "XDG_CACHE_HOME": NO_CACHE}
    return {**kept, **own, **variables}


def hatchway(
    *arguments: str, variables: Mapping[str, str] = MappingProxyType({}), timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """A finished command; the variables are added to its environment."""
    with tempfile.TemporaryDirectory() as directory:
        output, errors = Path(directory, "output"), Path(directory, "errors")
        process = FORKS.Process(target=_run, args=(arguments, environment(variables), output, errors))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["hatchway", *arguments], timeout)
        return subprocess.CompletedProcess(
            ["hatchway", *arguments], process.exitcode, output.read_text(), errors.read_text()
        )


def _run(arguments: tuple[str, ...], variables: dict[str, str], output: Path, errors: Path) -> None:
    from hatchway.cli.start import main

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["hatchway", *arguments]
    main()
