"""A process that is there before ssh asks for its tunnel, and what hands it ssh's streams."""

import os
import select
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote

import pytest
from picows import WSFrame, WSMsgType, WSTransport
from tests.client.certificates import Certificates
from tests.client.proxies import PASSWORD, USER, running_proxy
from tests.client.stubs import Answer, StubGateway, refusal
from tests.client.tunnel.test_tunnel import Echo, Says

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere ssh starts the tunnel itself")

# In a process of its own, for those of tests have threads. It does as `run_ssh` does, with a shell for ssh.
PROGRAM = """
import os, subprocess, sys, tempfile
from pathlib import Path
from hatchway.cli.ending import ended, tell
from hatchway.client.api import clock
from hatchway.client.connection.retry import RetryBudget
from hatchway.client.discovery.plan import Route, TunnelPlan
from hatchway.client.api.shared_files import Credentials
from hatchway.client.discovery.request import TunnelRequest
from hatchway.client.ssh.standby import standing_by
from hatchway.client.connection.tls import Trust

port, ca, script = int(sys.argv[1]), sys.argv[2], sys.argv[3]
name = "eice-0123456789abcdef0.example.test"
request = TunnelRequest(endpoint_id="eice-0123456789abcdef0", dns_name=name, private_ip_address="10.0.1.1")
route = Route(dns_name=name, port=port, address="127.0.0.1", ca_bundle=ca)
plan = TunnelPlan(request, route, "us-east-1", lambda: Credentials("AKIAEXAMPLE", "secret"))
with tempfile.TemporaryDirectory(prefix="100% ") as directory:
    with standing_by(plan, Trust(ca), Path(directory), ended, RetryBudget(tell)) as line:
        shell = ["sh", "-c", script, "sh", line.replace("%%", "%")]
        status = subprocess.run(shell, env={**os.environ, **dict([sys.argv[4].split("=")])}).returncode
sys.exit(status)
"""
ASKED = '{ printf hello | sh -c "exec $1" 2>&3 | cat; } 3>&1'
"""As ssh runs a ProxyCommand."""


def command_line(gateway: StubGateway, script: str, setting: str = "_=_") -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(gateway.port), gateway.ca_bundle, script, setting]


def run(
    gateway: StubGateway, script: str, setting: str = "_=_", input: bytes | None = None
) -> "subprocess.CompletedProcess[bytes]":
    words = command_line(gateway, script, setting)
    return subprocess.run(words, input=input, capture_output=True, timeout=60, check=False)


def test_whoever_asks_hands_over_his_streams_and_has_the_tunnel_there_once(gateway: StubGateway) -> None:
    gateway.answer = lambda: Echo(5)
    done = run(gateway, f'{ASKED}; echo; sh -c "exec $1"')
    assert done.stdout == b"hello\n"
    assert done.stderr.startswith(b"hatchway: the process that had the tunnel has ended (")
    assert len(gateway.requests) == 1


def test_where_nobody_asks_there_is_no_tunnel_and_nobody_is_left(gateway: StubGateway) -> None:
    # What it says is read until no process can say any more.
    done = run(gateway, "cat; exit 3", input=b"typed")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"typed", b"")
    assert gateway.requests == []


def test_a_tunnel_that_goes_on_holds_nothing_that_its_caller_had_open(gateway: StubGateway) -> None:
    gateway.answer = lambda: Echo(5)
    seen, held = os.pipe()
    words = command_line(gateway, 'sh -c "exec $1"')
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[held]) as program,
        os.fdopen(seen, "rb") as ended,
    ):
        os.close(held)
        assert program.stdin is not None and program.stdout is not None
        assert program.wait(60) == 0
        assert select.select([ended], [], [], 20)[0] == [ended]
        assert ended.read() == b""
        program.stdin.write(b"hello")
        program.stdin.close()
        assert program.stdout.read() == b"hello"


def test_another_one_may_wait_in_the_same_directory_after_it(gateway: StubGateway) -> None:
    gateway.answer = lambda: Echo(5)
    once = "    with standing_by(plan, Trust(ca), Path(directory), ended"
    words = command_line(gateway, ASKED)
    words[2] = PROGRAM.replace(once, f"{once}):\n        pass\n{once}")
    done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (b"hello", b"")


def test_it_is_told_when_not_all_streams_could_be_handed_over(gateway: StubGateway) -> None:
    done = run(gateway, 'sh -c "exec ${1% *} 0000000001000000"')
    assert done.stderr == b"hatchway: Too many open files\n"
    assert gateway.requests == []


def test_why_there_is_no_tunnel_is_told_where_the_asker_tells_things(gateway: StubGateway) -> None:
    body = b'{"ErrorCode": "AccessDeniedException", "Message": "not yours"}'
    gateway.answer = lambda: refusal(403, body)
    done = run(gateway, f"{ASKED} | tr a-z A-Z")
    assert done.stdout.startswith(b"HATCHWAY: ACCESSDENIEDEXCEPTION: NOT YOURS")
    assert done.stderr == b""


def test_a_gateway_that_is_just_restarting_is_waited_for_which_is_told(gateway: StubGateway) -> None:
    answers: list[Answer] = [
        refusal(503, b'{"ErrorCode": "ServiceUnavailable", "Message": "not now"}'),
        Echo(5),
    ]
    gateway.answer = lambda: answers.pop(0)
    done = run(gateway, ASKED)
    told = b"hatchway: ServiceUnavailable: not now: trying again for 5 seconds\n"
    assert (done.stdout, done.stderr) == (told + b"hello", b"")


def test_it_is_told_also_where_ssh_leads_what_is_told_nowhere_until_the_host_has_spoken(
    gateway: StubGateway,
) -> None:
    # As ssh does with ControlPersist.
    unheard = f"{{ {ASKED}; }} 3>/dev/null".replace("3>&1", "")
    gateway.answer = lambda: Says(b"", 1013, "Unable to connect to target")
    assert run(gateway, unheard).stderr.startswith(b"hatchway: tunnel closed: Unable to connect to target")
    gateway.answer = lambda: Says(b"welcome", 1013, "Unable to go on")
    done = run(gateway, unheard)
    assert (done.stdout, done.stderr) == (b"welcome", b"")


def test_nobody_s_standard_error_is_held_for_as_long_as_the_tunnel_lasts(gateway: StubGateway) -> None:
    gateway.answer = lambda: Echo(5)
    words = command_line(gateway, 'sh -c "exec $1" 2>/dev/null')
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) as program:
        assert program.stdin is not None and program.stdout is not None and program.stderr is not None
        assert program.wait(60) == 0
        program.stdin.write(b"hell")
        program.stdin.flush()
        assert program.stdout.read(4) == b"hell"
        assert select.select([program.stderr], [], [], 20)[0] == [program.stderr]
        assert program.stderr.read() == b""
        program.stdin.write(b"o")
        program.stdin.close()
        assert program.stdout.read() == b"o"


def test_the_time_is_the_servers_where_the_asker_knows_it(gateway: StubGateway) -> None:
    gateway.answer = lambda: Echo(5)
    assert run(gateway, ASKED, "_HATCHWAY_CLOCK=-7200").stdout == b"hello"
    (request,) = gateway.requests
    (told,) = parse_qs(request.path.partition(b"?")[2].decode())["X-Amz-Date"]
    signed = datetime.strptime(told, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert signed < datetime.now(UTC) - timedelta(hours=1)


def test_its_last_word_leaves_through_a_proxy_that_is_reached_by_tls(
    gateway: StubGateway, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    class Leaves(Says):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.CLOSE:
                answered.set()

    gateway.answer = lambda: Leaves(b"hello", 1000, "")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with running_proxy(certificates.server_context()) as proxy:
        known = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
        monkeypatch.setenv("HTTPS_PROXY", f"https://{known}@localhost:{proxy.port}")
        done = run(gateway, ASKED)
        assert (done.stdout, done.stderr) == (b"hello", b"")
        assert answered.wait(30)
    assert proxy.asked == ["127.0.0.1"]
