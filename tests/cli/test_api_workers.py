"""Several processes that serve one API."""

import os
import signal
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from tests.cli.conftest import Installed, Serve
from tests.cli.test_serve import ask, eventually
from tests.e2e.processes import lives
from tests.e2e.waiting import free_port

DONE_BY_ONE = 'hatchway_housekeeping_last_success_timestamp_seconds{task="purge sessions"}'
DONE_BY_EACH = 'hatchway_housekeeping_last_success_timestamp_seconds{task="record refusals"}'


def told(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def is_first(pid: int) -> bool:
    """Whether it is the process of a control plane that keeps house."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return "control" in words and "--housekeeping" not in words


def test_several_processes_serve_one_api_and_each_tells_prometheus(
    installed: Installed, serve: Serve
) -> None:
    port = free_port(following=1)
    # Of forks of one program the command lines would not tell which is which.
    server = serve(installed, "--api-workers", "2", "--api-metrics", f"127.0.0.1:{port}", programs=True)
    context = ssl.create_default_context(cafile=str(installed.directory / "ca.pem"))
    assert len(server.children) == 3

    def done() -> list[tuple[bool, bool]]:
        return [(DONE_BY_ONE in text, DONE_BY_EACH in text) for text in map(told, (port, port + 1))]

    assert eventually(lambda: done() == [(True, True), (False, True)]), done()

    def both_have_answered() -> bool:
        # Which of them has a connection is the kernel's choice.
        try:
            urllib.request.urlopen(server.urls["api"] + "/?Action=GetUser", context=context, timeout=60)
        except urllib.error.HTTPError as refused:
            refused.close()
        return all("hatchway_api_calls_total{" in told(each) for each in (port, port + 1))

    assert eventually(both_have_answered)
    (first,) = filter(is_first, server.children)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: not lives(first))

    def serves() -> bool:
        # Who had just connected to the one that was killed is reset.
        try:
            return ask(installed, server.urls["api"] + "/readyz") == (200, "ok\n")
        except OSError:
            return False

    assert eventually(serves)
    assert server.stop() == 0
