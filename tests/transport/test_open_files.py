"""A server may have as many connections as the machine lets it."""

import subprocess
import sys


def test_a_process_takes_its_hard_limit() -> None:
    program = (
        "import resource; from hatchway.transport.open_files import allow_open_files;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512));"
        "most = allow_open_files(); print(); print(most, *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "512 512 512"
    assert "open files" in done.stdout
