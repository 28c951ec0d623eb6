"""HAProxy takes the configuration that is there for it."""

import subprocess
from pathlib import Path

from tests.programs import find, needs

CONFIGURATION = Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"


@needs("haproxy", "haproxy")
def test_haproxy_finds_nothing_wrong_with_its_configuration() -> None:
    program = find("haproxy")
    assert program is not None
    done = subprocess.run([program, "-c", "-f", CONFIGURATION], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
