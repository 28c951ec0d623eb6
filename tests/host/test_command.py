"""The AuthorizedKeysCommand under real shells, asking over real TLS."""

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.client.certificates import Certificates, make_certificates
from tests.host.pretend import SHELLS
from tests.programs import needs

from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.host_token import HOST_TOKEN
from hatchway.domain.public_key import KEY_TYPES
from hatchway.host.script import HostLayout, authorized_keys_command

pytestmark = needs("curl", "curl")

INSTANCE_ID = "i-0123456789abcdef0"
TOKEN = HOST_TOKEN.write(BearerToken(INSTANCE_ID, bytes(32)))
FINGERPRINT = "SHA256:/1F6fb8qZDBlqs0aTIVKSXqLU5b2uxQM9JCQ5l3M3Q4"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

PROOF = 'restrict,from="127.0.0.1,::1,10.0.1.7",command="true"'

SECURITY_KEYS = "sk-ssh-ed25519@openssh.com AAAA\nsk-ecdsa-sha2-nistp256@openssh.com AAAA\n"
EVERY_TYPE = "".join(f"{key_type} AAAA\n" for key_type in KEY_TYPES)


@dataclass
class Keys:
    """The control plane: answers every question with `status` and `body`."""

    url: str
    status: int = 200
    body: bytes = (KEY + "\n").encode()
    delay: float = 0
    asked: list[tuple[str, dict[str, str], str | None]] = field(default_factory=list)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "control.example.test")


@pytest.fixture
def keys(certificates: Certificates) -> Iterator[Keys]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            given.asked.append((url.path, dict(parse_qsl(url.query)), self.headers["Authorization"]))
            time.sleep(given.delay)
            self.send_response(given.status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Location", "/elsewhere")
            # The connection's end says nothing: a TLS without a farewell is an error to newer ones.
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            self.wfile.write(given.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = certificates.server_context().wrap_socket(server.socket, server_side=True)
    given = Keys(f"https://localhost:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield given
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Host:
    """The files that the command finds on its host."""

    directory: Path
    ca: Path

    def ask(self, url: str, *arguments: str, shell: str = "sh") -> str:
        path = f"{self.directory}:{HostLayout().path}"
        layout = HostLayout(directory=str(self.directory), state=str(self.directory), path=path)
        command = self.directory / "authorized-keys"
        command.write_text(authorized_keys_command(url, layout))
        (self.directory / "curl.conf").write_text(
            f'header = "Authorization: Bearer {TOKEN}"\ncacert = "{self.ca}"\n'
        )
        done = subprocess.run(
            [shell, command, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.stderr == ""
        return done.stdout


@pytest.fixture
def host(tmp_path: Path, certificates: Certificates) -> Host:
    return Host(tmp_path, certificates.ca)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_question_names_user_and_fingerprint_and_bears_the_token(
    keys: Keys, host: Host, shell: str
) -> None:
    assert host.ask(keys.url, "alice", FINGERPRINT, shell=shell) == KEY + "\n"
    assert keys.asked == [
        ("/host/v1/authorized-keys", {"user": "alice", "fingerprint": FINGERPRINT}, f"Bearer {TOKEN}")
    ]


@pytest.mark.parametrize(
    "user", ["a&b=c", "@/etc/passwd", "$(id)", "-x", "a b", "DOMAIN\\alice", "'\"", "é", "%25"]
)
def test_a_strange_user_name_is_only_a_name(keys: Keys, host: Host, user: str) -> None:
    host.ask(keys.url, user, FINGERPRINT)
    assert keys.asked[0][1] == {"user": user, "fingerprint": FINGERPRINT}


@pytest.mark.parametrize(
    "arguments", [(), ("alice",), ("", FINGERPRINT), ("alice", ""), ("alice", "MD5:aa:bb")]
)
def test_without_user_and_fingerprint_nothing_is_asked(
    keys: Keys, host: Host, arguments: tuple[str, ...]
) -> None:
    assert host.ask(keys.url, *arguments) == ""
    assert keys.asked == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("body", "printed"),
    [
        (b"", ""),
        (b"\n\n", ""),
        (KEY.encode(), KEY + "\n"),
        (f"{KEY}\n{KEY} comment\n".encode(), f"{KEY}\n{KEY}\n"),
        (f"{PROOF} {KEY} who\n".encode(), f"{PROOF} {KEY}\n"),
        (f"{PROOF},agent-forwarding {KEY}\n{PROOF.replace('true', 'id')} {KEY}\n".encode(), ""),
        (EVERY_TYPE.encode(), EVERY_TYPE),
        (SECURITY_KEYS.replace("@openssh.com", "@openssh-com").encode(), ""),
        (SECURITY_KEYS.replace("256@", "256-cert-v01@").replace("19@", "19-cert-v01@").encode(), ""),
        (f'command="id" {KEY}\n{KEY}\n'.encode(), KEY + "\n"),
        (f"ssh-dss AAAA\n cert-authority {KEY}\n#{KEY}\n{KEY}".encode(), KEY + "\n"),
        (f"{KEY} \x1b[31m\n".encode(), ""),
        (b"<html>oops</html> 0", ""),
        (b"\0\xff\xfe", ""),
        (f"\0{KEY}\n\0x\n".encode(), KEY + "\n"),
    ],
)
def test_only_plain_keys_are_printed(keys: Keys, host: Host, shell: str, body: bytes, printed: str) -> None:
    keys.body = body
    assert host.ask(keys.url, "alice", FINGERPRINT, shell=shell) == printed


@pytest.mark.parametrize("shell", SHELLS)
def test_of_a_long_answer_64_kib_are_read(keys: Keys, host: Host, shell: str) -> None:
    keys.body = f"{KEY}\n".encode() * 100_000
    printed = host.ask(keys.url, "alice", FINGERPRINT, shell=shell)
    assert 60_000 < len(printed) <= 65_536
    assert set(printed.splitlines()[:-1]) == {KEY}


@pytest.mark.parametrize("status", [302, 401, 403, 404, 500, 503])
def test_a_refusal_prints_nothing_and_follows_nowhere(keys: Keys, host: Host, status: int) -> None:
    keys.status = status
    keys.body = b"" if status == 302 else keys.body
    assert host.ask(keys.url, "alice", FINGERPRINT) == ""
    assert len(keys.asked) == 1


def test_a_control_plane_of_an_unknown_ca_is_not_asked(keys: Keys, host: Host, tmp_path: Path) -> None:
    host.ca = make_certificates(tmp_path, "localhost").ca
    logged = tmp_path / "logged"
    logger = tmp_path / "logger"
    logger.write_text(f"#!/bin/sh\nsed s/^/$2:/ >>{logged}\n")
    logger.chmod(0o755)
    assert host.ask(keys.url, "alice", FINGERPRINT) == ""
    assert keys.asked == []
    assert f"auth.warning:asking {keys.url} for SSH keys failed (curl: (60) SSL" in logged.read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_log_says_who_pushed_a_key_and_sshd_is_told_the_key_alone(
    keys: Keys, host: Host, tmp_path: Path, shell: str
) -> None:
    logged = tmp_path / "logged"
    logger = tmp_path / "logger"
    logger.write_text(f"#!/bin/sh\nsed s/^/$2:/ >>{logged}\n")
    logger.chmod(0o755)
    alice, host_itself = "arn:aws:iam::123456789012:user/alice", f"arn:aws:ec2:x:1:instance/{INSTANCE_ID}"
    keys.body = f"{KEY} {alice}\n{PROOF} {KEY} {host_itself}\n{KEY}\n{KEY} a b\n".encode()
    printed = host.ask(keys.url, "ec2-user", FINGERPRINT, shell=shell)
    assert printed.splitlines() == [KEY, f"{PROOF} {KEY}", KEY, KEY]
    assert logged.read_text().splitlines() == [
        f"auth.info:{FINGERPRINT} for ec2-user was pushed by {who}" for who in (alice, host_itself)
    ]


def test_a_control_plane_that_is_down_costs_no_wait_and_is_asked_again(keys: Keys, host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert host.ask(f"https://localhost:{port}", "alice", FINGERPRINT) == ""
    assert host.ask(keys.url, "alice", FINGERPRINT) == KEY + "\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_after_one_wait_in_vain_the_next_keys_do_not_wait(keys: Keys, host: Host, shell: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}"
        assert host.ask(url, "alice", FINGERPRINT, shell=shell) == ""
        silent.settimeout(60)
        silent.accept()[0].close()
        assert host.ask(url, "alice", FINGERPRINT, shell=shell) == ""
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()
    stamp = host.directory / "no-answer-since"
    assert host.ask(keys.url, "alice", FINGERPRINT, shell=shell) == ""
    stamp.write_text(str(int(stamp.read_text()) - 11))
    assert host.ask(keys.url, "alice", FINGERPRINT, shell=shell) == KEY + "\n"


@pytest.mark.parametrize("stamp", ["", "x", "-1", "99999999999999999999", "4102444800", "$(touch pwned)"])
def test_a_stamp_that_makes_no_sense_is_ignored(keys: Keys, host: Host, stamp: str) -> None:
    (host.directory / "no-answer-since").write_text(stamp + "\n")
    assert host.ask(keys.url, "alice", FINGERPRINT) == KEY + "\n"
