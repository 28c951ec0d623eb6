"""OpenSSH's programs, run."""

import os
import signal
import subprocess
import sys


def test_an_ssh_that_stops_for_the_shell_to_have_the_terminal_stops_us_too() -> None:
    program = (
        "import sys; from hatchway.client.ssh.openssh import run_in_foreground;"
        " sys.exit(run_in_foreground(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", program, "sh", "-c", "kill -TSTP $$; exit 5"]
    # As a shell starts a job: in a group of its own.
    with subprocess.Popen(words, process_group=0) as job:
        _, status = os.waitpid(job.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.killpg(job.pid, signal.SIGCONT)
        assert job.wait(30) == 5
